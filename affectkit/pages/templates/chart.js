// Charts as SVG: lines, scatter, histogram. Beside each stands a line that reads the values at the pointer or the arrow keys.
const CHART = { width: 520, height: 260, left: 52, right: 12, top: 10, bottom: 34 };

// Round steps for an axis from low to high: 1, 2, 2.5 or 5 times a power of ten.
function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return found;
}

// The numbers at an axis, with as many decimals as their step needs.
function tickTexts(values) {
  const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1;
  let digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1;
  return values.map((value) => (digits > 4 ? value.toExponential(2) : value.toFixed(digits)));
}

function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

function plot(parent, title, options = {}) {
  const height = options.height || CHART.height;
  const svg = element("svg:svg", {
    class: "plot", role: "img", "aria-label": options.label || title, tabindex: options.keys ? 0 : null,
  });
  const reading = element("p", { class: "reading", "aria-live": "polite" });
  const box = element("div", { class: "chart" }, element("h3", { text: title }), svg, reading);
  parent.append(box);
  // As wide as there is room, so that its text is as large as that of the page.
  CHART.width = Math.min(Math.max(box.clientWidth, 280), 640);
  svg.setAttribute("viewBox", `0 0 ${CHART.width} ${height}`);
  return { svg, reading, box, height, width: CHART.width };
}

function axes(svg, height, x, y, xTicks, yTicks, labels) {
  const [right, bottom] = [CHART.width - CHART.right, height - CHART.bottom];
  const [xTexts, yTexts] = [tickTexts(xTicks), tickTexts(yTicks)];
  for (const [k, value] of yTicks.entries()) {
    svg.append(element("svg:line", { class: "axis", x1: CHART.left, x2: right, y1: y(value), y2: y(value) }),
      element("svg:text", { x: CHART.left - 6, y: y(value) + 4, "text-anchor": "end", text: yTexts[k] }));
  }
  for (const [k, value] of xTicks.entries()) {
    svg.append(element("svg:text", { x: x(value), y: bottom + 15, "text-anchor": "middle", text: xTexts[k] }));
  }
  svg.append(element("svg:text", { x: (CHART.left + right) / 2, y: height - 4, "text-anchor": "middle", text: labels.x }));
}

// series: [{name, values, dashed}] over x; a value of null is a gap.
function drawLines(parent, { title, x, xName, series, marked = null, range = null, unit = "" }) {
  const all = [...series.flatMap((one) => one.values), ...(range || [])].filter((one) => one !== null);
  if (!all.length) return;
  let [low, high] = [Math.min(...all), Math.max(...all)];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  [low, high] = [low - margin, high + margin];
  const { svg, reading, box, height, width } = plot(parent, title, { keys: true });
  const bottom = height - CHART.bottom, inset = 8;
  const atX = scale(x[0], x[x.length - 1], CHART.left + inset, CHART.width - CHART.right - inset);
  const atY = scale(low, high, bottom, CHART.top);
  const whole = ticks(x[0], x[x.length - 1], 8).filter(Number.isInteger);
  axes(svg, height, atX, atY, whole.length ? whole : [x[0]], ticks(low, high), { x: xName });
  if (marked !== null) {
    svg.append(element("svg:line", { class: "cut", x1: atX(marked), x2: atX(marked), y1: CHART.top, y2: bottom }));
  }
  series.forEach((one, k) => {
    let path = "", pen = "M";
    one.values.forEach((value, place) => {
      if (value === null) { pen = "M"; return; }
      path += `${pen}${atX(x[place]).toFixed(1)} ${atY(value).toFixed(1)}`;
      pen = "L";
    });
    svg.append(element("svg:path", { class: `line ${colour(one.colour ?? k)}${one.dashed ? " dashed" : ""}`, d: path }));
    if (x.length <= 40) {
      one.values.forEach((value, place) => value !== null && svg.append(element("svg:circle", {
        class: `dot ${colour(one.colour ?? k)}`, cx: atX(x[place]), cy: atY(value), r: 2.6 })));
    }
  });
  if (series.length > 1) {
    box.insertBefore(element("ul", { class: "legend" }, ...series.map((one, k) => element("li", {},
      element("span", { class: `swatch ${colour(one.colour ?? k)}` }), visible(one.name)))), reading);
  }
  const cursor = element("svg:line", { class: "mark", x1: 0, x2: 0, y1: CHART.top, y2: bottom, visibility: "hidden" });
  svg.append(cursor);
  let place = -1;
  function read(next) {
    place = Math.min(Math.max(next, 0), x.length - 1);
    cursor.setAttribute("x1", atX(x[place]));
    cursor.setAttribute("x2", atX(x[place]));
    cursor.setAttribute("visibility", "visible");
    reading.textContent = `${xName} ${x[place]}: ` + series.map((one) => `${visible(one.name)} ${number(one.values[place])}${unit}`).join(", ");
  }
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect();
    const at = ((event.clientX - frame.left) / frame.width) * width;
    let best = 0;
    x.forEach((value, k) => { if (Math.abs(atX(value) - at) < Math.abs(atX(x[best]) - at)) best = k; });
    read(best);
  });
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: x.length - 1 };
    if (event.key in steps) { event.preventDefault(); read(steps[event.key]); }
  });
}

function drawScatter(parent, { title, x, y, points, square = false, identity = false, joined = false, ends: fixed = null, note = "" }) {
  const found = points.filter((one) => !Number.isNaN(one.x) && !Number.isNaN(one.y));
  if (!found.length) return;
  let ends = [[Math.min(...found.map((one) => one.x)), Math.max(...found.map((one) => one.x))],
    [Math.min(...found.map((one) => one.y)), Math.max(...found.map((one) => one.y))]];
  if (square || identity) {
    const both = [Math.min(ends[0][0], ends[1][0]), Math.max(ends[0][1], ends[1][1])];
    ends = square && both[0] >= -1 && both[1] <= 1 ? [[-1, 1], [-1, 1]] : [both, both];
  }
  if (fixed) ends = [fixed, fixed];
  ends = ends.map(([low, high]) => { const more = (high - low || 1) * 0.04; return [low - more, high + more]; });
  const { svg, reading, height, width } = plot(parent, title, { height: 420, label: `${title}: ${found.length} points, ${x} across, ${y} up` });
  const atX = scale(...ends[0], CHART.left, CHART.width - CHART.right), atY = scale(...ends[1], height - CHART.bottom, CHART.top);
  axes(svg, height, atX, atY, ticks(...ends[0]), ticks(...ends[1]), { x: `${x} (across), ${y} (up)` });
  if (square && ends[0][0] < 0) {
    svg.append(element("svg:line", { class: "mark", x1: atX(0), x2: atX(0), y1: CHART.top, y2: height - CHART.bottom, opacity: 0.4 }),
      element("svg:line", { class: "mark", x1: CHART.left, x2: CHART.width - CHART.right, y1: atY(0), y2: atY(0), opacity: 0.4 }));
  }
  if (identity) {
    svg.append(element("svg:line", { class: "cut", x1: atX(ends[0][0]), y1: atY(ends[0][0]), x2: atX(ends[0][1]), y2: atY(ends[0][1]) }));
  }
  const opacity = Math.min(Math.max(9 / Math.sqrt(found.length), 0.12), 0.8);
  if (joined) {
    svg.append(element("svg:path", { class: "line c0", d: found.map((one, k) => `${k ? "L" : "M"}${atX(one.x)} ${atY(one.y)}`).join("") }));
  }
  for (const one of found) svg.append(element("svg:circle", { class: "dot c0", cx: atX(one.x).toFixed(1), cy: atY(one.y).toFixed(1), r: joined ? 4 : 3.2, opacity: joined ? 1 : opacity }));
  const ring = element("svg:circle", { class: "mark", r: 7, visibility: "hidden" });
  svg.append(ring);
  reading.textContent = note;
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect(), k = width / frame.width;
    const [px, py] = [(event.clientX - frame.left) * k, (event.clientY - frame.top) * k];
    let best = found[0], least = Infinity;
    for (const one of found) {
      const distance = (atX(one.x) - px) ** 2 + (atY(one.y) - py) ** 2;
      if (distance < least) [best, least] = [one, distance];
    }
    ring.setAttribute("cx", atX(best.x));
    ring.setAttribute("cy", atY(best.y));
    ring.setAttribute("visibility", "visible");
    reading.textContent = `${visible(best.name || "")}${best.name ? ": " : ""}${x} ${number(best.x)}, ${y} ${number(best.y)}`;
  });
}

function drawHistogram(parent, name, values, bins = 20) {
  const found = values.filter((one) => !Number.isNaN(one));
  if (!found.length) return;
  const [low, high] = [Math.min(...found), Math.max(...found)], width = (high - low) / bins || 1;
  const counts = new Array(high > low ? bins : 1).fill(0);
  for (const one of found) counts[Math.min(Math.floor((one - low) / width), counts.length - 1)] += 1;
  const { svg, reading, height } = plot(parent, name, { label: `${name}: how many rows have which value, ${found.length} rows` });
  const most = Math.max(...counts), end = low + width * counts.length;
  const atX = scale(low, end, CHART.left, CHART.width - CHART.right), atY = scale(0, most, height - CHART.bottom, CHART.top);
  axes(svg, height, atX, atY, ticks(low, end), ticks(0, most).filter(Number.isInteger), { x: `${name} (across), rows (up)` });
  counts.forEach((count, k) => {
    const bar = element("svg:rect", { class: "area c0", x: atX(low + k * width) + 0.5, width: Math.max(atX(low + (k + 1) * width) - atX(low + k * width) - 1, 1),
      y: atY(count), height: height - CHART.bottom - atY(count) });
    svg.append(bar);
    bar.addEventListener("pointerenter", () => {
      reading.textContent = `${number(low + k * width, 3)} to ${number(low + (k + 1) * width, 3)}: ${count}`;
    });
  });
}
