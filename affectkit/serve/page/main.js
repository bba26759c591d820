// The page: what is dropped, chosen or seen by the camera goes to its part.
import { askJson, save } from "./api.js";
import { Camera } from "./camera.js";
import { Films } from "./films.js";
import { Pictures } from "./pictures.js";
import { el, View } from "./view.js";

const byId = (id) => document.getElementById(id);

function fault(text) { byId("faults").append(el("p", { className: "fault" }, text)); }

// The token is in a cookie by now, and has no business in the address, the history or a screenshot.
if (location.search) history.replaceState(null, "", location.pathname);

async function begin() {
  const health = await askJson("/health");
  const view = new View(health);
  const builtIn = /affectkit[\\/]assets[\\/]([\w-]+)\.(?:onnx|safetensors)$/.exec(health.checkpoint);
  const model = builtIn ? `the built-in model (${builtIn[1]})` : health.checkpoint;
  byId("model").textContent = [model, health.task, `engine ${health.engine}`, health.faces_by && `faces: ${health.face_detector ?? health.faces_by}`].filter(Boolean).join(" · ");
  const { max_size: most, max_seconds: seconds } = health.limits;
  byId("limits").textContent = `Up to ${(most / 1e6).toLocaleString("en")} MB a file, films up to ${(seconds / 60).toLocaleString("en")} min, a frame every ${health.every}.`;

  const pictures = new Pictures(view, byId("pictures"), update);
  const films = new Films(view, byId("films"), update);
  const camera = new Camera(view, byId("live"), byId("rate"), update);
  const isFilm = (file) => !health.takes_clips && (file.type.startsWith("video/") || health.film_endings.some((ending) => file.name.toLowerCase().endsWith(ending)));

  let told = "";
  function update() {
    const pending = pictures.pending + films.pending;
    const done = pictures.good.length;
    byId("empty").hidden = Boolean(pictures.shown.length + films.shown.length > 0 || camera.card);
    byId("downloads").hidden = !(pictures.shown.length + films.shown.length || camera.card);
    byId("table").hidden = byId("report").hidden = !done;
    byId("camera").disabled = camera.running || health.takes_clips;
    const text = pending ? `${pending} of ${pictures.shown.length + films.shown.length} files to do` : done || films.shown.length ? "All files are done." : "";
    if (text !== told) byId("status").textContent = told = text;
  }

  function take(files) {
    byId("faults").replaceChildren();
    for (const file of files) {
      if (file.size > most) fault(`${file.name} has ${file.size.toLocaleString("en")} bytes; at most ${most.toLocaleString("en")} are taken (--max-size).`);
      else if (isFilm(file)) films.add(file);
      else pictures.add(file);
    }
    update();
  }

  byId("files").addEventListener("change", (event) => { take([...event.target.files]); event.target.value = ""; });
  const drop = byId("drop");
  for (const target of [document]) {
    target.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
    target.addEventListener("dragleave", () => drop.classList.remove("over"));
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      take([...event.dataTransfer.files]);
    });
  }
  byId("camera").addEventListener("click", async () => {
    byId("faults").replaceChildren();
    byId("camera").disabled = true;
    try { await camera.start(); } catch (error) { fault(error.message); }
    update();
  });
  byId("table").addEventListener("click", () => save(new Blob([pictures.table()], { type: "text/csv" }), "inference_results.csv"));
  byId("report").addEventListener("click", async () => {
    byId("report").disabled = true;
    try {
      save(await pictures.report((share) => { byId("status").textContent = `Report: ${Math.round(100 * share)}%`; }), "report.html");
      byId("status").textContent = told;
    } catch (error) { fault(error.message); }
    byId("report").disabled = false;
  });
  byId("clear").addEventListener("click", () => { pictures.clear(); films.clear(); camera.clear(); update(); });
  document.body.dataset.ready = "yes";
  update();
}

begin().catch((error) => fault(error.message));
