// Boxes, bars, timelines and tables. Names and values become text, never markup.

const SVG = "http://www.w3.org/2000/svg";
// Of Okabe and Ito (2008), in the order of the reports.
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#C9B400", "#8C8C8C"];
const NO_LABEL = "#d0d0d0";
const FIRST_BARS = 3;
const MOST_ROWS = 200;
const MOST_LANES = 8;

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const colourOf = (number) => COLOURS[(number - 1) % COLOURS.length];

export class View {
  constructor(health) {
    this.open = false;
    this.roles = health.roles;
    const own = this.roles.task;
    this.label = own.find((name) => this.roles.texts.includes(name)) ?? null;
    const shares = own.filter((name) => health.classes.includes(name));
    this.values = shares.length ? shares : own.filter((name) => !this.roles.texts.includes(name));
    this.shares = shares.length > 0;
    const [low, high] = this.roles.scale ?? [0, 1];
    this.share = (value) => Math.min(Math.max((value - low) / (high - low), 0), 1);
    this.bounded = this.shares || this.roles.scale !== null;
  }

  found(row) { return row[this.values[0]] !== null; }

  // Without a detector a picture is predicted whole, and a row has no face.
  number(row) { return row[this.roles.face] ?? 1; }

  text(value) { return this.shares ? `${(100 * value).toFixed(1)}%` : value.toFixed(3); }

  title(row) {
    if (!this.found(row)) return "no face found";
    return this.label ? this.labelled(row) : this.values.map((name) => `${name} ${row[name].toFixed(2)}`).join(", ");
  }

  // As in drawn pictures: a question mark below a margin, both with six decimals; no label below a confidence.
  labelled(row) {
    const name = row[this.label];
    if (name === "") return "abstained";
    const { margin, question_margin: least } = this.roles;
    return margin && Number(row[margin].toFixed(6)) < Number(least.toFixed(6)) ? `${name}?` : String(name);
  }

  classColour(name) { return COLOURS[Math.max(this.values.indexOf(name), 0) % COLOURS.length]; }

  // Valence and arousal, where the server was asked for them.
  affect(row) {
    const found = Object.entries(this.roles.affect ?? {});
    if (!found.length) return [];
    return [el("p", { className: "small" }, found.map(([name, column]) => `${name} ${row[column].toFixed(2)}`).join(", "))];
  }

  bars(row) {
    const order = [...this.values];
    if (this.shares) order.sort((one, other) => row[other] - row[one]);
    const line = (name) => {
      const fill = el("div", { className: "fill" });
      fill.style.width = `${100 * this.share(row[name])}%`;
      fill.style.background = this.classColour(name);
      const track = el("div", { className: "track" }, fill);
      track.setAttribute("aria-hidden", "true");
      return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, this.bounded ? track : ""), el("td", {}, this.text(row[name])));
    };
    const table = (names, caption) =>
      el("table", { className: "bars" }, el("caption", { className: "unseen" }, caption), el("tbody", {}, ...names.map(line)));
    const first = table(order.slice(0, FIRST_BARS), `Face ${this.number(row)}: largest values`);
    if (order.length <= FIRST_BARS) return [first];
    const more = el("details", { open: this.open }, el("summary", {}, `${order.length - FIRST_BARS} more`), table(order.slice(FIRST_BARS), "Other values"));
    more.addEventListener("toggle", () => { this.open = more.open; }); // bars are made anew with each frame
    return [first, more];
  }

  faces(rows) {
    return rows.map((row) => {
      if (!this.found(row)) return el("p", { className: "small" }, "No face was found.");
      const numbered = rows.length > 1 || this.number(row) > 1 ? `${this.number(row)} · ` : "";
      const head = this.label ? `${numbered}${this.title(row)}` : `Face ${this.number(row)}`;
      return el("div", { className: "face" }, el("h4", {}, head), ...this.bars(row), ...this.affect(row));
    });
  }

  // Boxes lie in pixels of the upright picture of width x height.
  boxes(rows, width, height) {
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
    for (const row of rows) {
      const [x, y, wide, high] = this.roles.box.map((name) => row[name]);
      if (x === null || x === undefined) continue;
      for (const kind of ["under", "box"]) svg.append(shape("rect", { x, y, width: wide, height: high, class: kind }));
      if (rows.length === 1 && this.number(row) === 1) continue;
      const size = Math.max(width, height) / 24;
      const number = shape("text", { x: x + size / 4, y: y + size, "font-size": size });
      number.textContent = this.number(row);
      svg.append(number);
    }
    return svg;
  }

  table(rows, columns, name) {
    const cell = (value) => el("td", { className: typeof value === "number" ? "number" : "" }, value === null ? "" : String(value));
    const shown = rows.slice(0, MOST_ROWS);
    const more = rows.length > shown.length ? el("p", { className: "small" }, `The first ${MOST_ROWS} of ${rows.length.toLocaleString("en")} rows; the table that can be downloaded has all.`) : null;
    return el("div", {},
      el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": `Rows of ${name}` },
        el("table", { className: "rows" },
          el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
          el("tbody", {}, ...shown.map((row) => el("tr", {}, ...columns.map((name) => cell(row[name]))))))),
      more);
  }

  legend() {
    if (!this.shares) return null;
    return el("ul", { className: "legend", "aria-label": "Colours" }, ...this.values.map((name) => {
      const swatch = el("span", { className: "swatch" });
      swatch.style.background = this.classColour(name);
      return el("li", {}, swatch, name);
    }));
  }

  // A lane a face: the colour is the label's, or the height the first value's; places are times.
  timeline(rows, end, seek) {
    const faces = new Map();
    for (const row of rows) {
      if (!this.found(row)) continue;
      const own = faces.get(this.number(row)) ?? [];
      own.push(row);
      faces.set(this.number(row), own);
    }
    const times = [...new Set(rows.map((row) => row[this.roles.time]))];
    const step = times.length > 1 ? (times.at(-1) - times[0]) / (times.length - 1) : 0.5;
    const last = Math.max(end, (times.at(-1) ?? 0) + step);
    const longest = [...faces].sort((one, other) => other[1].length - one[1].length).slice(0, MOST_LANES);
    const [first] = this.values;
    const seen = rows.filter((row) => this.found(row)).map((row) => row[first]);
    const [low, high] = this.roles.scale ?? [seen.reduce((one, other) => Math.min(one, other), Infinity), seen.reduce((one, other) => Math.max(one, other), -Infinity)];
    const lanes = longest.sort((one, other) => one[0] - other[0]).map(([number, own]) => {
      const canvas = el("canvas", { className: "lane", width: 1000, height: 32, role: "img" });
      canvas.setAttribute("aria-label", `Face ${number}: ${this.spoken(own)}`);
      const draw = canvas.getContext("2d");
      for (const row of own) {
        const place = 1000 * row[this.roles.time] / last;
        const tall = this.shares ? 32 : 2 + 30 * (row[first] - low) / Math.max(high - low, 1e-9);
        draw.fillStyle = !this.shares ? colourOf(number) : row[this.label] === "" ? NO_LABEL : this.classColour(row[this.label]);
        draw.fillRect(place, 32 - tall, Math.max(1000 * step / last, 1) + 0.5, tall);
      }
      if (seek) canvas.addEventListener("click", (event) => seek(last * event.offsetX / canvas.clientWidth));
      const scale = this.shares ? "" : `, ${first} from ${low.toFixed(2)} to ${high.toFixed(2)}`;
      return el("div", {}, el("span", { className: "lane-name" }, `face ${number}${scale}`), canvas);
    });
    const more = faces.size > MOST_LANES ? el("p", { className: "small" }, `and ${faces.size - MOST_LANES} faces that were seen for less`) : null;
    return el("div", { className: "timeline" }, ...lanes, more);
  }

  spoken(rows) {
    if (!this.shares) return `${rows.length} samples`;
    const counts = new Map();
    for (const row of rows) {
      const name = row[this.label] || "abstained";
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts].sort((one, other) => other[1] - one[1]).map(([name, count]) => `${name} ${Math.round(100 * count / rows.length)}%`).join(", ");
  }
}
