// Shows what the training tells, and tells it what a person does.
import { showLast, watchCharts } from "./charts.js";
import { byId } from "./dom.js";
import { drawSheet, forgetSheet } from "./images.js";
import { describe, showNumbers } from "./numbers.js";
import { Options } from "./options.js";
import { drawPlane } from "./plane.js";

/** @typedef {import("./frame.js").Frame} Frame */

const lessons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-lesson]")]);
const options = new Options(byId("options"), byId("problem"), send);
const NO_LESSON = "A lesson sets all options, trains until it has shown something, and says what was seen.";
/** @type {Frame} the newest; none before the first */
let frame;
/** @type {EventSource} */
let source;

/** Returns the sentence of a refusal, else nothing. @param {object} command */
async function send(command) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(command) };
  try {
    const reply = await fetch("/command", request);
    return reply.ok ? "" : await reply.text();
  } catch {
    return "drawwell play does not answer.";
  }
}

/** A refusal is shown; that of an option stays beside it. @param {object} command */
async function order(command) {
  const sentence = await send(command);
  if (sentence) byId("problem").textContent = sentence;
}

function showLesson() {
  for (const button of lessons) button.setAttribute("aria-pressed", String(button.textContent === frame.lesson));
  const state = frame.ended ? "Seen." : frame.lesson ? "Look." : "";
  const told = byId("sentence"), sentence = frame.sentence || NO_LESSON;
  byId("told").dataset.ended = String(frame.ended);
  if (told.textContent !== sentence) {
    byId("lesson-state").textContent = state;
    told.textContent = sentence;
  }
}

/** The titles of both pictures. */
function titles() {
  if (frame.sheets) return ["Drawn by G now", "Data"];
  if (frame.options.data === "product") return ["The path of x and y over V(x, y) = x·y", ""];
  const now = frame.probabilities ? "D now" : "The critic's output now, lowest to highest";
  return [now, "Best possible D for these points"];
}

/** The words of the legend: of the points, and of the ends of the surface. */
function legend() {
  if (frame.options.data === "product") return ["equilibrium", "x and y", "V low", "V high"];
  return ["data", "drawn by G", ...(frame.probabilities ? ["D says drawn", "D says data"] : ["low", "high"])];
}

function showPictures() {
  const [now, beside] = titles();
  byId("now-title").textContent = now;
  byId("beside-title").textContent = beside;
  byId("now").setAttribute("aria-label", describe(frame));
  byId("beside").setAttribute("aria-label", frame.sheets ? "A sheet of images of the data" : beside);
  byId("beside-figure").hidden = !beside;
  byId("legend").hidden = !frame.plot;
  byId("measured").hidden = !frame.plot || !beside;
  ["real", "drawn", "low", "high"].forEach((name, place) => { byId(`legend-${name}`).textContent = legend()[place]; });
  drawPictures(!beside);
}

/** @param {boolean} isPath */
function drawPictures(isPath) {
  const { plot, sheets } = frame, [now, beside] = [byId("now"), byId("beside")];
  for (const canvas of [now, beside]) canvas.classList.toggle("sheet", sheets !== null);
  if (sheets) {
    drawSheet(now, sheets.drawn);
    drawSheet(beside, sheets.real);
  } else if (plot) {
    [now, beside].forEach(forgetSheet);
    drawPlane(now, plot.surface, plot, isPath);
    if (!isPath) drawPlane(beside, plot.best, plot, false);
  }
}

function showRun() {
  byId("run").textContent = frame.running ? "Pause" : "Start";
  if (document.activeElement !== byId("pace")) byId("pace").value = frame.pace ?? "";
  for (const control of document.querySelectorAll(":is(.lessons, .run) :disabled")) control.removeAttribute("disabled");
}

function showCurves() {
  const focused = byId("charts").contains(document.activeElement) ? document.activeElement?.id : "";
  byId("charts").innerHTML = frame.curves; // the server has escaped it
  if (focused) byId(focused)?.focus({ preventScroll: true });
  showLast();
}

function show() {
  showLesson();
  showPictures();
  showRun();
  showNumbers(byId("numbers"), frame);
  options.show(frame.options);
  showCurves();
}

function connect() {
  if (document.hidden || (source && source.readyState !== EventSource.CLOSED)) return;
  source = new EventSource("/frames");
  source.onmessage = (event) => {
    byId("connection").textContent = "";
    frame = JSON.parse(event.data);
    show();
  };
  source.addEventListener("ended", () => {
    byId("connection").textContent = "The process that trains has ended. Reset starts a new one.";
  });
  source.onerror = () => {
    byId("connection").textContent = "No connection. The page goes on when drawwell play runs again.";
  };
}

byId("run").addEventListener("click", () => order({ do: frame.running ? "pause" : "start" }));
byId("step").addEventListener("click", () => order({ do: "step" }));
byId("reset").addEventListener("click", () => { options.forget(); order({ do: "reset" }); });
byId("pace").addEventListener("change", (/** @type {any} */ event) => order({ do: "pace", pace: Number(event.target.value) || null }));
for (const button of lessons) {
  button.addEventListener("click", () => { options.forget(); order({ do: "lesson", lesson: button.dataset.lesson }); });
}
// A browser opens at most six connections to a server: pages that nobody sees hold none.
document.addEventListener("visibilitychange", () => (document.hidden ? source.close() : connect()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (frame) showPictures(); });
watchCharts(byId("main"), byId("spoken"));
connect();
