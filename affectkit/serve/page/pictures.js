// Photographs: each is sent, and shown with its boxes and bars as the answer comes.
import { ask, askJson, follow, form, save } from "./api.js";
import { el } from "./view.js";

const AT_ONCE = 2;

export class Pictures {
  constructor(view, list, changed) {
    this.view = view;
    this.list = list;
    this.changed = changed;
    this.shown = [];
    this.waiting = [];
    this.active = 0;
  }

  get pending() { return this.waiting.length + this.active; }

  get good() { return this.shown.filter((one) => one.rows.length); }

  add(file) {
    const card = el("li", { className: "card" }, el("h3", {}, file.name), el("p", { className: "small" }, "Waiting …"));
    const one = { file, card, rows: [], csv: "", header: "", columns: [], address: URL.createObjectURL(file) };
    this.list.append(card);
    this.shown.push(one);
    this.waiting.push(one);
    this.next();
  }

  next() {
    while (this.active < AT_ONCE && this.waiting.length) {
      this.active += 1;
      this.predict(this.waiting.shift()).finally(() => { this.active -= 1; this.changed(); this.next(); });
    }
    this.changed();
  }

  async predict(one) {
    try {
      const found = await askJson("/predict?csv=1", { method: "POST", body: form([one.file]) });
      Object.assign(one, { rows: found.rows, csv: found.csv, header: found.csv_header, columns: found.columns });
      this.show(one);
    } catch (error) {
      one.card.replaceChildren(el("h3", {}, one.file.name), el("p", { className: "fault" }, error.message));
    }
  }

  show(one) {
    const { view } = this;
    const box = el("div", { className: "shown" });
    const image = el("img", { alt: `${one.file.name}: ${one.rows.map((row) => view.title(row)).join("; ")}` });
    image.addEventListener("load", () => box.append(view.boxes(one.rows, image.naturalWidth, image.naturalHeight)));
    image.addEventListener("error", () => box.replaceChildren(el("p", { className: "small" }, "This browser cannot show the picture.")));
    image.src = one.address;
    box.append(image);
    const button = el("button", { type: "button" }, "Download annotated picture");
    button.addEventListener("click", () => this.annotate(one, button));
    one.card.replaceChildren(el("h3", {}, one.file.name), box, ...view.faces(one.rows),
      el("details", {}, el("summary", {}, "Rows"), view.table(one.rows, one.columns, one.file.name)), el("p", { className: "buttons" }, button));
  }

  async annotate(one, button) {
    button.disabled = true;
    try {
      const found = await ask("/annotate", { method: "POST", body: form([one.file]) });
      const ending = { "image/jpeg": "jpg", "image/webp": "webp" }[found.headers.get("Content-Type")] ?? "png";
      save(await found.blob(), `${one.file.name.replace(/\.[^.]*$/, "")}-annotated.${ending}`);
    } catch (error) {
      button.after(el("p", { className: "fault" }, error.message));
    }
    button.disabled = false;
  }

  table() {
    const good = this.good;
    return good.length ? good[0].header + good.map((one) => one.csv).join("") : "";
  }

  // The report is of all pictures, and made on the server: they are sent once more.
  async report(progress) {
    const files = this.good.map((one) => one.file);
    const job = await askJson("/jobs", { method: "POST", body: form(files) });
    try {
      await follow(job.job, (found) => progress(found.progress));
      return await (await ask(`/jobs/${job.job}/report.html`)).blob();
    } finally {
      await ask(`/jobs/${job.job}`, { method: "DELETE" }).catch(() => null);
    }
  }

  clear() {
    for (const one of this.shown) URL.revokeObjectURL(one.address);
    this.shown = [];
    this.waiting = [];
    this.list.replaceChildren();
  }
}
