// Shows what the training tells, and tells it what a person does.
import { showLast, watchCharts } from "./charts.js";
import { describe, showNumbers } from "./numbers.js";
import { Options } from "./options.js";
import { drawPlane } from "./plane.js";

const at = (id) => document.getElementById(id);
const lessons = [...document.querySelectorAll("[data-lesson]")];
const options = new Options(at("options"), at("problem"), send);
let frame = null;
let source = null;

/** Returns the sentence of a refusal, else nothing. */
async function send(command) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(command) };
  try {
    const reply = await fetch("/command", request);
    return reply.ok ? "" : await reply.text();
  } catch {
    return "drawwell play does not answer.";
  }
}

/** A refusal is shown; that of an option stays beside it. */
async function order(command) {
  const sentence = await send(command);
  if (sentence) at("problem").textContent = sentence;
}

function showLesson() {
  for (const button of lessons) button.setAttribute("aria-pressed", String(button.textContent === frame.lesson));
  const state = frame.ended ? "Seen." : frame.lesson ? "Look." : "";
  const told = at("sentence");
  told.parentElement.dataset.ended = frame.ended;
  if (told.textContent !== frame.sentence) {
    at("lesson-state").textContent = state;
    told.textContent = frame.sentence;
  }
}

function showPictures() {
  const isPath = frame.options.data === "product";
  const critic = frame.probabilities ? "D now" : "The critic's output now, lowest to highest";
  at("surface-title").textContent = isPath ? "The path of x and y over V(x, y) = x·y" : critic;
  at("surface").setAttribute("aria-label", describe(frame));
  at("best-figure").hidden = at("measured").hidden = isPath;
  const words = isPath
    ? ["equilibrium", "x and y", "V low", "V high"]
    : ["data", "drawn by G", frame.probabilities ? "D says drawn" : "low", frame.probabilities ? "D says data" : "high"];
  ["real", "drawn", "low", "high"].forEach((name, place) => { at(`legend-${name}`).textContent = words[place]; });
  drawPlane(at("surface"), frame.surface, frame, isPath);
  if (!isPath) drawPlane(at("best"), frame.best, frame, false);
}

function showRun() {
  at("run").textContent = frame.running ? "Pause" : "Start";
  if (document.activeElement !== at("pace")) at("pace").value = frame.pace ?? "";
  for (const control of [...lessons, ...document.querySelectorAll(".run :disabled")]) control.disabled = false;
}

function showCurves() {
  const focused = at("charts").contains(document.activeElement) ? document.activeElement.id : "";
  at("charts").innerHTML = frame.curves; // the server has escaped it
  if (focused) at(focused)?.focus({ preventScroll: true });
  showLast();
}

function show() {
  showLesson();
  showPictures();
  showRun();
  showNumbers(at("numbers"), frame);
  options.show(frame.options);
  showCurves();
}

function connect() {
  source = new EventSource("/frames");
  source.onmessage = (event) => {
    at("connection").textContent = "";
    frame = JSON.parse(event.data);
    show();
  };
  source.addEventListener("ended", () => {
    at("connection").textContent = "The process that trains has ended. Reset starts a new one.";
  });
  source.onerror = () => {
    at("connection").textContent = "No connection. The page goes on when drawwell play runs again.";
  };
}

at("run").addEventListener("click", () => order({ do: frame.running ? "pause" : "start" }));
at("step").addEventListener("click", () => order({ do: "step" }));
at("reset").addEventListener("click", () => { options.forget(); order({ do: "reset" }); });
at("pace").addEventListener("change", (event) => order({ do: "pace", pace: Number(event.target.value) || null }));
for (const button of lessons) {
  button.addEventListener("click", () => { options.forget(); order({ do: "lesson", lesson: button.dataset.lesson }); });
}
// A browser opens at most six connections to a server: pages that nobody sees hold none.
document.addEventListener("visibilitychange", () => (document.hidden ? source.close() : connect()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (frame) showPictures(); });
watchCharts(document.querySelector("main"), at("spoken"));
connect();
