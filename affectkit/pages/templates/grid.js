// The grid of faces or pictures: filters, order, cards a page at a time, export of what is selected.
if (DATA.grid) (() => {
  const grid = DATA.grid, PAGE = 60;
  const cell = (row, place) => (place === null ? "" : row[place]);
  const value = (row, place) => (place === null || row[place] === "" ? NaN : Number(row[place]));
  const items = grid.rows.map((row, index) => {
    const shares = grid.classes.map((place) => value(row, place));
    const ordered = [...shares].sort((a, b) => b - a);
    return {
      index, row, shares,
      name: cell(row, grid.name), label: cell(row, grid.label), confidence: value(row, grid.confidence),
      truth: cell(row, grid.truth),
      error: grid.ratings.length && grid.actuals.length
        ? grid.ratings.reduce((sum, place, k) => sum + (value(row, place) - value(row, grid.actuals[k])) ** 2, 0) : NaN,
      margin: ordered.length > 1 ? ordered[0] - ordered[1] : NaN, score: value(row, grid.score),
    };
  });
  const list = document.getElementById("grid"), more = document.getElementById("more");
  const count = document.getElementById("count"), form = document.getElementById("filters");
  let selected = items, shown = 0;

  // --- the fields -----------------------------------------------------------------------------------------------
  const fields = document.getElementById("filter-fields");
  const tests = [];
  function field(label, input, test) {
    const id = `f${fields.childElementCount}`;
    input.id = id;
    fields.append(element("div", { class: "field" }, element("label", { for: id, text: label }), input));
    if (test) tests.push(test);
    return input;
  }
  function bound(label, key, least, values, shares) {
    const finite = values.filter((one) => !Number.isNaN(one));
    if (!finite.length) return;
    const input = field(label, element("input", {
      type: "number", step: "any", placeholder: "any", inputmode: "decimal",
      min: shares ? 0 : null, max: shares ? 1 : null,
    }), (item) => {
      if (input.value === "") return true;
      const own = typeof key === "function" ? key(item) : item[key];
      return least ? own >= Number(input.value) : own <= Number(input.value);
    });
  }
  if (grid.label !== null) {
    const counts = new Map(grid.names.map((name) => [name, 0]));
    for (const item of items) counts.set(item.label, (counts.get(item.label) || 0) + 1);
    const input = field(grid.truth === null ? "Emotion" : "Predicted label", element("select", {}, element("option", { value: "", text: "all" })),
      (item) => input.selectedIndex === 0 || item.label === names[input.selectedIndex - 1]);
    const names = [...counts.keys()];
    for (const name of names) input.append(element("option", { text: `${visible(name)} (${counts.get(name)})` }));
    if (grid.truth !== null) {
      const truths = [...new Set([...grid.names, ...items.map((item) => item.truth)])];
      const true_ = field("True label", element("select", {}, element("option", { text: "all" }),
        ...truths.map((name) => element("option", { text: name }))),
      (item) => true_.selectedIndex === 0 || item.truth === truths[true_.selectedIndex - 1]);
      const right = field("Show", element("select", {}, ...["all", "mistakes", "right ones"].map((text) => element("option", { text }))),
        (item) => right.selectedIndex === 0 || (item.label === item.truth) === (right.selectedIndex === 2));
    }
    const confidences = items.map((item) => item.confidence);
    bound("Confidence from", "confidence", true, confidences, true);
    bound("Confidence to", "confidence", false, confidences, true);
    bound("Margin up to", "margin", false, items.map((item) => item.margin), true);
  }
  for (const place of grid.ratings) {
    const name = grid.columns[place].replace(/^Predicted /, "");
    const values = items.map((item) => value(item.row, place));
    bound(`${name} from`, (item) => value(item.row, place), true, values, false);
    bound(`${name} to`, (item) => value(item.row, place), false, values, false);
  }
  const file = field("File name contains", element("input", { type: "search", autocomplete: "off" }),
    (item) => item.name.toLowerCase().includes(file.value.trim().toLowerCase()));
  const orders = [];
  if (grid.truth !== null) {
    const rank = (item) => (item.label === item.truth ? -item.confidence : 1 + item.confidence);
    orders.push(["Confident mistakes first", (a, b) => rank(b) - rank(a)]);
  }
  if (grid.actuals.length) orders.push(["Largest error first", (a, b) => b.error - a.error]);
  if (grid.label !== null) {
    orders.push(["Doubtful first (margin)", (a, b) => a.margin - b.margin],
      ["Confident first", (a, b) => b.confidence - a.confidence]);
  }
  for (const place of grid.ratings) {
    const name = grid.columns[place].replace(/^Predicted /, "");
    orders.push([`${name}, highest first`, (a, b) => value(b.row, place) - value(a.row, place)],
      [`${name}, lowest first`, (a, b) => value(a.row, place) - value(b.row, place)]);
  }
  orders.push(["File name", (a, b) => a.name.localeCompare(b.name) || a.index - b.index]);
  if (items.some((item) => !Number.isNaN(item.score))) {
    orders.push(["Detector score, lowest first", (a, b) => (Number.isNaN(a.score) ? Infinity : a.score)
      - (Number.isNaN(b.score) ? Infinity : b.score) || a.index - b.index]);
  }
  const order = field("Order", element("select", {}, ...orders.map(([name]) => element("option", { text: name }))));
  const usual = grid.label === null && !grid.actuals.length ? orders.findIndex(([name]) => name === "File name") : 0;
  order.selectedIndex = usual;

  // --- the cards ------------------------------------------------------------------------------------------------
  function bars(item) {
    const places = item.shares.map((one, k) => [one, k]);
    const drawn = places.length > 8 ? places.sort((a, b) => b[0] - a[0]).slice(0, 8) : places;
    return element("ul", { class: "bars" }, ...drawn.map(([one, k]) => {
      const fill = element("span", { class: `fill ${colour(k)}` });
      fill.style.width = `${100 * (Number.isNaN(one) ? 0 : one)}%`;
      return element("li", {}, element("span", { class: "of", text: grid.names[k] }),
        element("span", { class: "track" }, fill), element("span", { class: "by", text: share(one) }));
    }));
  }
  function card(item) {
    const face = cell(item.row, grid.face), address = grid.pictures[item.index];
    const who = face ? `Face ${face} of ${visible(item.name)}` : visible(item.name);
    const picture = address ? element("img", { src: address, alt: who, decoding: "async" })
      : element("span", { class: "absent", text: "no picture" });
    const title = grid.label === null ? null
      : element("h3", {}, element("span", { text: item.label }), element("span", { class: "big", text: share(item.confidence) }));
    const facts = [];
    if (!Number.isNaN(item.margin)) facts.push(["margin", share(item.margin)]);
    if (face) facts.push(["face", face]);
    if (grid.score !== null) facts.push(["detector score", number(item.score, 2)]);
    // Columns that some detectors give: degrees by which the head is tilted, share of the box that the picture cuts off.
    const [roll, outside] = ["Head Roll", "Box Outside"].map((name) => grid.columns.indexOf(name));
    if (roll >= 0 && item.row[roll] !== "") facts.push(["head roll", `${number(value(item.row, roll), 1)}°`]);
    if (outside >= 0 && value(item.row, outside) > 0) facts.push(["box outside", share(value(item.row, outside))]);
    if (grid.truth !== null) facts.unshift(["true", item.truth]);
    grid.ratings.forEach((place, k) => {
      const actual = grid.actuals.length ? ` (actual ${number(value(item.row, grid.actuals[k]))})` : "";
      facts.push([grid.columns[place].replace(/^Predicted /, ""), number(value(item.row, place)) + actual]);
    });
    const all = element("details", { class: "all" }, element("summary", {}, "all columns",
      element("span", { class: "hidden", text: ` of ${who}` })));
    all.addEventListener("toggle", () => {
      if (all.open && all.childElementCount === 1) {
        all.append(element("dl", { class: "row" }, ...grid.columns.map((name, k) => element("div", {},
          element("dt", { text: name }), element("dd", { text: item.row[k] === "" ? "–" : item.row[k] })))));
      }
    });
    const heading = title || element("h3", { class: "hidden", text: who });
    return element("li", { class: "card", "data-row": item.index }, element("div", { class: "photo" }, picture),
      element("div", { class: "told" }, heading, grid.classes.length ? bars(item) : null,
        element("dl", { class: "few" }, ...facts.map(([name, text]) => element("div", {},
          element("dt", { text: name }), element("dd", { text })))),
        element("p", { class: "file", title: visible(item.name) }, element("bdi", { text: item.name })), all));
  }
  function show() {
    list.append(...selected.slice(shown, shown + PAGE).map(card));
    shown = Math.min(shown + PAGE, selected.length);
    more.hidden = shown >= selected.length;
    more.textContent = `Show more (${(selected.length - shown).toLocaleString("en")} left)`;
  }
  function update() {
    selected = items.filter((item) => tests.every((test) => test(item)));
    selected.sort(orders[order.selectedIndex][1]);
    list.replaceChildren();
    shown = 0;
    show();
    const plural = items.length === 1 ? "" : "s";
    count.textContent = `${selected.length.toLocaleString("en")} of ${items.length.toLocaleString("en")} `
      + `${grid.what}${plural} selected`;
    document.getElementById("export").disabled = !selected.length;
  }
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("clear").addEventListener("click", () => {
    form.reset();
    order.selectedIndex = usual;
    update();
  });
  more.addEventListener("click", () => {
    const first = shown;
    show();
    list.children[first]?.querySelector("summary")?.focus();
  });
  document.getElementById("export").addEventListener("click", () => {
    save(`${grid.table}-selected.csv`, csvText(grid.columns, selected.map((item) => item.row)));
  });
  // A print holds all that is selected.
  window.addEventListener("beforeprint", () => { while (shown < selected.length) show(); });
  update();

  // --- ratings: histograms, and the plane -----------------------------------------------------------------------
  const charts = document.getElementById("ratings-charts");
  if (charts && items.length) {
    for (const place of grid.ratings) {
      drawHistogram(charts, grid.columns[place], items.map((item) => value(item.row, place)));
    }
    const [valence, arousal] = ["Predicted Valence", "Predicted Arousal"].map((name) => grid.columns.indexOf(name));
    if (valence >= 0 && arousal >= 0) {
      drawScatter(charts, {
        title: "Valence and arousal", x: "predicted valence", y: "predicted arousal", square: true,
        points: items.map((item) => ({ x: value(item.row, valence), y: value(item.row, arousal), name: item.name })),
      });
    }
  }
})();
