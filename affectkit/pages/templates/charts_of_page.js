// Charts that the data names, each into its place.
for (const chart of DATA.charts || []) {
  const place = document.getElementById(chart.into);
  if (!place) continue;
  if (chart.kind === "lines") {
    drawLines(place, chart);
  } else {
    drawScatter(place, { ...chart, points: chart.points.map((one) => ({ ...one, x: one.x ?? NaN, y: one.y ?? NaN })) });
  }
}
