// Films: a job each, its rows shown while they come; boxes over the film as it plays.
import { ask, askJson, follow, form, save } from "./api.js";
import { el } from "./view.js";

const DRAWN_EVERY = 1000;

export class Films {
  constructor(view, place, changed) {
    this.view = view;
    this.place = place;
    this.changed = changed;
    this.shown = [];
    this.before = Promise.resolve();
  }

  get pending() { return this.shown.filter((one) => one.running).length; }

  add(file) {
    const film = new Film(this.view, file, this.changed);
    this.shown.push(film);
    this.place.append(film.card);
    this.before = this.before.then(() => film.predict()); // one after the other, as the server predicts them
  }

  clear() {
    for (const film of this.shown) film.remove();
    this.shown = [];
  }
}

class Film {
  constructor(view, file, changed) {
    Object.assign(this, { view, file, changed, rows: [], columns: [], running: true, job: null, drawn: 0 });
    this.stop = new AbortController();
    this.progress = el("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}` });
    this.told = el("p", { className: "small" }, "Waiting for the film before …");
    this.cancelling = el("button", { type: "button" }, "Cancel");
    this.cancelling.addEventListener("click", () => this.cancel());
    this.buttons = el("p", { className: "buttons" }, this.cancelling);
    this.video = el("video", { controls: true, muted: true, playsInline: true, preload: "auto" });
    this.video.src = URL.createObjectURL(file);
    this.screen = el("div", { className: "shown" }, this.video);
    this.video.addEventListener("error", () => this.screen.replaceChildren(el("p", { className: "small" }, "This browser cannot play the film; rows and timeline are shown.")));
    for (const event of ["timeupdate", "seeked", "loadedmetadata"]) this.video.addEventListener(event, () => this.moment());
    this.video.addEventListener("play", () => this.play());
    this.now = el("div", {});
    this.line = el("div", {});
    this.table = el("div", {});
    this.summary = el("p", { className: "small" });
    this.card = el("article", { className: "card film", "aria-label": file.name }, el("h3", {}, file.name), this.progress, this.told, this.buttons,
      el("div", { className: "halves" }, el("div", {}, this.screen, this.line, view.legend() ?? ""), this.now),
      this.summary, el("details", {}, el("summary", {}, "Rows"), this.table));
  }

  async predict() {
    try {
      this.stop.signal.throwIfAborted();
      this.told.textContent = "Sending …";
      const job = await askJson("/jobs", { method: "POST", body: form([this.file]), signal: this.stop.signal });
      this.job = job.job;
      const ended = await follow(this.job, (found) => this.take(found), this.stop.signal);
      this.end(ended);
    } catch (error) {
      if (error.name === "AbortError") this.told.textContent = "Cancelled.";
      else this.told.replaceWith(this.told = el("p", { className: "fault" }, error.message));
      this.cancelling.remove();
    }
    this.running = false;
    this.progress.hidden = true;
    this.draw();
    this.changed();
  }

  take(job) {
    this.rows.push(...job.rows);
    this.columns = job.columns;
    this.progress.value = job.progress;
    const state = job.state === "waiting" ? "Waiting for its turn" : `${Math.round(100 * job.progress)}%`;
    this.told.textContent = `${state}, ${this.rows.length.toLocaleString("en")} rows`;
    if (performance.now() - this.drawn > DRAWN_EVERY) this.draw();
    this.changed();
  }

  end(job) {
    this.cancelling.remove();
    const [summary] = job.videos;
    const shares = Object.entries(summary?.time ?? {}).map(([name, share]) => `${name} ${(100 * share).toFixed(1)}%`);
    this.summary.textContent = shares.length ? `Share of time: ${shares.join(", ")}` : "";
    this.told.textContent = `Done: ${this.rows.length.toLocaleString("en")} rows, ${summary?.faces ?? 0} faces.`;
    for (const one of job.skipped_first) this.told.after(el("p", { className: "fault" }, `Not read to the end; rows so far stand.\n${one.reason}`));
    this.button("Download the table", "table.csv", `${this.file.name}.csv`);
    this.button("Download the report", "report.html", `${this.file.name}.html`);
  }

  button(text, what, name) {
    const made = el("button", { type: "button" }, text);
    made.addEventListener("click", async () => {
      made.disabled = true;
      try {
        save(await (await ask(`/jobs/${this.job}/${what}`)).blob(), name);
      } catch (error) {
        this.buttons.after(el("p", { className: "fault" }, error.message));
      }
      made.disabled = false;
    });
    this.buttons.append(made);
  }

  draw() {
    this.drawn = performance.now();
    this.line.replaceChildren(this.view.timeline(this.rows, this.video.duration || 0, (time) => { this.video.currentTime = time; }));
    this.table.replaceChildren(this.view.table(this.rows, this.columns, this.file.name));
    this.moment();
  }

  play() {
    const step = () => { this.moment(); if (!this.video.paused) requestAnimationFrame(step); };
    requestAnimationFrame(step);
  }

  // The rows of the latest sampled frame: rows come in the order of their times.
  moment() {
    const { time, frame } = this.view.roles;
    let low = 0, high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle][time] <= this.video.currentTime + 1e-3) low = middle + 1; else high = middle;
    }
    const last = this.rows[Math.max(low - 1, 0)];
    const key = last ? `${last[frame]} ${this.rows.length} ${this.video.videoWidth}` : "";
    if (!last || key === this.at) return;
    this.at = key;
    const rows = this.rows.slice(Math.max(low - 100, 0), Math.max(low, 1)).filter((row) => row[frame] === last[frame]);
    this.now.replaceChildren(el("p", { className: "small" }, `at ${last[time].toFixed(2)} s`), ...this.view.faces(rows));
    this.screen.querySelector("svg")?.remove();
    if (this.video.videoWidth) this.screen.append(this.view.boxes(rows, this.video.videoWidth, this.video.videoHeight));
  }

  async cancel() {
    this.cancelling.disabled = true;
    this.stop.abort();
    if (this.job) await ask(`/jobs/${this.job}`, { method: "DELETE" }).catch(() => null);
  }

  remove() {
    this.stop.abort();
    if (this.job) ask(`/jobs/${this.job}`, { method: "DELETE" }).catch(() => null);
    URL.revokeObjectURL(this.video.src);
    this.card.remove();
  }
}
