// The camera: frames go to the server at the rate that is chosen, one at a time.
import { askJson, Fault, form } from "./api.js";
import { el } from "./view.js";

const KEPT_SECONDS = 60;
const QUALITY = 0.9;

export class Camera {
  constructor(view, place, rate, changed) {
    Object.assign(this, { view, place, rate, changed, running: false });
  }

  async start() {
    if (!navigator.mediaDevices) throw new Fault("The browser offers no camera here: it does so at http://127.0.0.1 and localhost, or by https.");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: false });
    } catch (error) {
      throw new Fault(`The camera cannot be used: ${error.message || error.name}.`);
    }
    this.stream = stream;
    this.running = true;
    this.history = [];
    this.began = performance.now();
    this.count = 0;
    this.show();
    this.video.srcObject = stream;
    await this.video.play();
    this.loop();
  }

  show() {
    this.video = el("video", { muted: true, playsInline: true, "aria-label": "Camera" });
    this.screen = el("div", { className: "shown" }, this.video);
    this.now = el("div", {});
    this.line = el("div", {});
    this.told = el("p", { className: "small" });
    const end = el("button", { type: "button" }, "Stop the camera");
    end.addEventListener("click", () => this.stop());
    this.card = el("article", { className: "card film", "aria-label": "Camera" }, el("h3", {}, "Camera"),
      el("p", { className: "buttons" }, end), this.told,
      el("div", { className: "halves" }, el("div", {}, this.screen, this.line, this.view.legend() ?? ""), this.now));
    this.place.replaceChildren(this.card);
  }

  async loop() {
    const canvas = document.createElement("canvas");
    while (this.running) {
      const began = performance.now();
      try {
        await this.frame(canvas, began);
      } catch (error) {
        if (this.running) this.card.append(el("p", { className: "fault" }, error.message));
        this.stop();
        return;
      }
      const left = 1000 / Number(this.rate.value) - (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(left, 0)));
    }
  }

  async frame(canvas, began) {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return;
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    const found = await askJson("/predict", { method: "POST", body: form([new File([blob], "camera.jpg")]) });
    if (!this.running) return;
    this.count += 1;
    const time = (began - this.began) / 1000;
    for (const row of found.rows) this.history.push({ ...row, [this.view.roles.time]: time });
    this.history = this.history.filter((row) => row[this.view.roles.time] > time - KEPT_SECONDS);
    const first = this.history[0]?.[this.view.roles.time] ?? 0;
    const shifted = this.history.map((row) => ({ ...row, [this.view.roles.time]: row[this.view.roles.time] - first }));
    this.screen.querySelector("svg")?.remove();
    this.screen.append(this.view.boxes(found.rows, width, height));
    this.now.replaceChildren(...this.view.faces(found.rows));
    this.line.replaceChildren(this.view.timeline(shifted, 0, null));
    const took = performance.now() - began;
    this.told.textContent = `${this.count.toLocaleString("en")} frames, ${took.toFixed(0)} ms each; the largest face is face 1. Frames are not kept.`;
    this.changed();
  }

  stop() {
    this.running = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.card) this.card.querySelector("button")?.remove();
    this.changed();
  }

  clear() {
    this.stop();
    this.place.replaceChildren();
    this.card = null;
  }
}
