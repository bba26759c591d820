// The timeline of a video: lanes of face tracks, zoom, a cursor that shows the frame and its numbers.
if (DATA.videos) (() => {
  const all = DATA.videos, LANES = 12, LEFT = 4, LANE = all.shares ? 92 : 110, STRIP = 12, GAP = 26, MOST = 700;
  const chooser = document.getElementById("video"), lanes = document.getElementById("lanes");
  const still = document.getElementById("still"), text = document.getElementById("frame-text");
  const faces = document.getElementById("frame-faces"), every = document.getElementById("every-track");
  let WIDTH = 900, film = null, from = 0, to = 1, cursor = 0, marker = null, drawn = null;
  all.videos.forEach((one) => chooser.append(element("option", { text: one.name })));
  document.getElementById("legend").append(element("ul", { class: "legend" }, ...all.names.map((name, k) => element("li", {},
    element("span", { class: `swatch ${colour(k)}` }), visible(name)))));
  const at = (time) => LEFT + ((time - from) / (to - from)) * (WIDTH - 2 * LEFT);
  const until = (place) => (place + 1 < film.times.length ? film.times[place + 1] : Math.max(film.end, film.times[place]));
  const clock = (time) => (film.timed ? `${time.toFixed(2)} s` : `page ${time + 1}`);

  // What is drawn of a track between from and to: as it is, or the means of MOST stretches where there are more frames.
  function stretches(track) {
    const found = [];
    const width = (to - from) / MOST;
    const dense = film.times.length > MOST && (to - from) / Math.max(film.end - film.times[0], 1e-9) * film.times.length > MOST;
    let held = null;
    track.at.forEach((place, k) => {
      const [begin, end] = [film.times[place], until(place)];
      if (end < from || begin > to) return;
      const bin = dense ? Math.floor((begin - from) / width) : place;
      const follows = held && (dense ? bin - held.bin <= 1 : place === held.place + 1);
      if (held && dense && bin === held.bin) {
        held.sums = held.sums.map((sum, j) => sum + track.values[k][j]);
        held.count += 1;
        held.end = end;
        held.place = place;
      } else {
        held = { begin, end, bin, place, sums: [...track.values[k]], count: 1, follows };
        found.push(held);
      }
    });
    return found.map((one) => ({ ...one, values: one.sums.map((sum) => sum / one.count) }));
  }

  function laneShares(svg, track, top) {
    const parts = stretches(track), height = LANE - STRIP - 6;
    const paths = all.names.map(() => "");
    const strips = all.names.map(() => "");
    for (const one of parts) {
      const [x1, x2] = [Math.max(at(one.begin), LEFT), Math.min(at(one.end), WIDTH - LEFT)];
      let sum = 0;
      one.values.forEach((value, k) => {
        const [y1, y2] = [top + height * (1 - sum), top + height * (1 - sum - value)];
        if (value > 0.002) paths[k] += `M${x1.toFixed(1)} ${y1.toFixed(1)}H${x2.toFixed(1)}V${y2.toFixed(1)}H${x1.toFixed(1)}Z`;
        sum += value;
      });
      const k = one.values.indexOf(Math.max(...one.values));
      strips[k] += `M${x1.toFixed(1)} ${top + height + 4}H${x2.toFixed(1)}v${STRIP}H${x1.toFixed(1)}Z`;
    }
    for (const some of [paths, strips]) {
      some.forEach((path, k) => path && svg.append(element("svg:path", { class: `area ${colour(k)}`, d: path })));
    }
  }

  function laneLines(svg, track, top, low, high) {
    const parts = stretches(track), y = (value) => top + 4 + (LANE - 12) * (1 - (value - low) / (high - low || 1));
    all.names.forEach((name, k) => {
      let path = "";
      for (const one of parts) {
        const x1 = Math.max(at(one.begin), LEFT), x2 = Math.min(at(one.end), WIDTH - LEFT);
        path += `${one.follows && path ? "L" : "M"}${x1.toFixed(1)} ${y(one.values[k]).toFixed(1)}H${x2.toFixed(1)}`;
      }
      if (path) svg.append(element("svg:path", { class: `line ${colour(k)}`, d: path }));
    });
  }

  function ticksOf() {
    const rough = (to - from) / Math.max(WIDTH / 90, 3), steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const step = steps.find((one) => one >= rough) || rough, found = [];
    for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9; k += 1) found.push(k * step);
    return [found, step];
  }

  function clockTick(time, step) {
    if (step < 1) return time.toFixed(1);
    const whole = Math.round(time), [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return (hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes) + `:${String(seconds).padStart(2, "0")}`;
  }

  // The tracks that were seen the longest, in the order of their numbers, or all.
  function shownTracks() {
    if (every.checked || film.tracks.length <= LANES) return film.tracks;
    const longest = [...film.tracks].sort((a, b) => b.at.length - a.at.length).slice(0, LANES);
    return film.tracks.filter((track) => longest.includes(track));
  }

  function draw() {
    WIDTH = Math.max(lanes.clientWidth, 280);
    lanes.replaceChildren();
    const tracks = shownTracks(), height = Math.max(tracks.length, 1) * (LANE + GAP) + 24;
    const values = tracks.flatMap((track) => track.values.flat());
    const [low, high] = values.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]);
    const svg = element("svg:svg", {
      class: "plot cursor", viewBox: `0 0 ${WIDTH} ${height}`, tabindex: 0, role: "slider", "aria-label": `Moment in ${visible(film.name)}`,
      "aria-valuemin": 0, "aria-valuemax": Math.max(film.times.length - 1, 0), "aria-valuenow": cursor, "aria-orientation": "horizontal",
    });
    tracks.forEach((track, k) => {
      const top = k * (LANE + GAP) + 20;
      const scaled = all.shares ? "" : ` (from ${number(low, 2)} to ${number(high, 2)})`;
      svg.append(element("svg:text", { x: LEFT, y: top - 5, text: `face ${track.face}${scaled}` }),
        element("svg:rect", { class: "lane", x: LEFT, y: top, width: WIDTH - 2 * LEFT, height: LANE - STRIP - 6 + (all.shares ? 0 : STRIP) }));
      if (all.shares) laneShares(svg, track, top); else laneLines(svg, track, top, low, high);
    });
    if (!tracks.length) svg.append(element("svg:text", { x: WIDTH / 2, y: 60, "text-anchor": "middle", text: "no face was seen" }));
    for (const cut of film.cuts) {
      if (cut >= from && cut <= to) svg.append(element("svg:line", { class: "cut", x1: at(cut), x2: at(cut), y1: 6, y2: height - 22 }));
    }
    const [marks, step] = ticksOf();
    for (const mark of film.timed ? marks : marks.filter(Number.isInteger)) {
      svg.append(element("svg:text", { x: Math.min(Math.max(at(mark), 12), WIDTH - 14), y: height - 6, "text-anchor": "middle", text: film.timed ? clockTick(mark, step) : String(mark + 1) }));
    }
    marker = element("svg:line", { class: "mark", y1: 4, y2: height - 22 });
    svg.append(marker);
    svg.addEventListener("pointermove", (event) => { if (event.buttons || event.pointerType === "mouse") move(nearest(event), false); });
    svg.addEventListener("pointerdown", (event) => move(nearest(event), true));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 0.7 : 1.4, timeAt(event));
    }, { passive: false });
    svg.addEventListener("keydown", keys);
    lanes.append(svg);
    drawn = svg;
    mark();
  }

  function timeAt(event) {
    const frame = drawn.getBoundingClientRect();
    return from + (((event.clientX - frame.left) / frame.width) * WIDTH - LEFT) / (WIDTH - 2 * LEFT) * (to - from);
  }

  // The frame that holds at the pointer.
  function nearest(event) {
    const time = timeAt(event);
    let low = 0, high = film.times.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (film.times[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  function keys(event) {
    const steps = { ArrowRight: cursor + 1, ArrowUp: cursor + 1, ArrowLeft: cursor - 1, ArrowDown: cursor - 1, PageUp: cursor + 10,
      PageDown: cursor - 10, Home: 0, End: film.times.length - 1 };
    if (event.key in steps) move(steps[event.key], true);
    else if (event.key === "+" || event.key === "=") zoom(0.5, film.times[cursor]);
    else if (event.key === "-") zoom(2, film.times[cursor]);
    else if (event.key === "0") zoom(Infinity, 0);
    else return;
    event.preventDefault();
  }

  function zoom(by, centre) {
    const [first, last] = [film.times[0], Math.max(film.end, film.times[film.times.length - 1])];
    const least = Math.max((last - first) / Math.max(film.times.length, 1) * 4, 1e-3);
    const span = Math.min(Math.max((to - from) * by, Math.min(least, last - first)), last - first || 1);
    const begin = Math.min(Math.max(centre - span * (centre - from) / (to - from || 1), first), last - span);
    [from, to] = by === Infinity ? [first, last] : [Math.max(begin, first), Math.max(begin, first) + span];
    const focused = document.activeElement === drawn;
    draw();
    if (focused) drawn.focus();
  }

  function mark() {
    const time = film.times[cursor];
    marker.setAttribute("x1", at(time));
    marker.setAttribute("x2", at(time));
    marker.setAttribute("visibility", time >= from && time <= to ? "visible" : "hidden");
  }

  function seenAt(place) {
    return film.tracks.flatMap((track) => {
      const k = track.at.indexOf(place);
      return k < 0 ? [] : [{ face: track.face, box: track.boxes[k], values: track.values[k] }];
    });
  }

  function move(place, scroll) {
    cursor = Math.min(Math.max(place, 0), film.times.length - 1);
    const time = film.times[cursor];
    if (scroll && (time < from || time > to)) {
      const span = to - from;
      [from, to] = [Math.min(Math.max(time - span / 2, film.times[0]), Math.max(film.end - span, film.times[0])), 0];
      to = from + span;
      const focused = document.activeElement === drawn;
      draw();
      if (focused) drawn.focus();
    }
    mark();
    const seen = seenAt(cursor);
    const named = seen.map((one) => {
      if (!all.shares) return `face ${one.face}: ` + all.names.map((name, k) => `${name} ${number(one.values[k])}`).join(", ");
      const k = one.values.indexOf(Math.max(...one.values));
      return `face ${one.face}: ${all.names[k]} ${share(one.values[k])}`;
    });
    const told = `${clock(time)}, frame ${film.frames[cursor]}`;
    drawn.setAttribute("aria-valuenow", cursor);
    drawn.setAttribute("aria-valuetext", `${told}: ${named.join("; ") || "no face"}`);
    text.textContent = `${told}: ${seen.length ? `${seen.length} face${seen.length > 1 ? "s" : ""}` : "no face"}`;
    showStill(seen);
    showTable(seen);
  }

  // The nearest frame that has a picture; its own faces are drawn on it where it is the frame itself.
  function showStill(seen) {
    const places = Object.keys(film.stills).map(Number);
    still.replaceChildren();
    if (!places.length) {
      still.append(element("span", { class: "absent", text: "no picture" }));
      return;
    }
    const place = places.reduce((a, b) => (Math.abs(b - cursor) < Math.abs(a - cursor) ? b : a));
    const image = element("img", { src: film.stills[place], alt: `Frame ${film.frames[place]} of ${visible(film.name)}` });
    still.append(image);
    if (place !== cursor) {
      text.textContent += ` (the picture is of ${clock(film.times[place])}, the nearest that is kept)`;
      return;
    }
    const size = film.size;
    if (!size || !seen.length) return;
    const svg = element("svg:svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
    const letter = size[0] / 20;
    for (const one of seen) {
      const [x, y, width, height] = one.box;
      if (![x, y, width, height].every(Number.isFinite)) continue;
      for (const name of ["under", "boxed"]) svg.append(element("svg:rect", { class: name, x, y, width, height }));
      svg.append(element("svg:text", { class: "tag", x: x + 2, y: Math.max(y, 0) + letter, "font-size": letter, text: one.face }));
    }
    still.append(svg);
  }

  function showTable(seen) {
    faces.replaceChildren();
    if (!seen.length) return;
    const head = element("tr", {}, element("th", { scope: "col", text: all.shares ? "class" : "rating" }),
      ...seen.map((one) => element("th", { scope: "col", class: "num", text: `face ${one.face}` })));
    const rows = all.names.map((name, k) => element("tr", {}, element("th", { scope: "row", text: name }),
      ...seen.map((one) => element("td", { class: "num", text: all.shares ? share(one.values[k]) : number(one.values[k]) }))));
    faces.append(element("div", { class: "scroll", role: "region", "aria-label": "Predictions of this frame", tabindex: 0 },
      element("table", {}, element("caption", { text: "Predictions of this frame" }), element("thead", {}, head), element("tbody", {}, ...rows))));
  }

  function choose(index) {
    film = all.videos[index];
    cursor = 0;
    every.parentElement.hidden = film.tracks.length <= LANES;
    [from, to] = [film.times[0] ?? 0, Math.max(film.end, film.times[film.times.length - 1] ?? 1)];
    if (to <= from) to = from + 1;
    draw();
    const first = film.tracks.length ? Math.min(...film.tracks.map((track) => track.at[0])) : 0;
    move(first, false);
  }

  every.addEventListener("change", draw);
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (lanes.clientWidth !== WIDTH) draw(); }, 120);
  });
  chooser.addEventListener("change", () => choose(chooser.selectedIndex));
  document.getElementById("zoom-in").addEventListener("click", () => zoom(0.5, film.times[cursor]));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(2, film.times[cursor]));
  document.getElementById("zoom-all").addEventListener("click", () => zoom(Infinity, 0));
  choose(0);
})();
