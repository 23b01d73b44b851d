// Reads values off the charts: under the pointer, or step by step with the arrow keys, in all charts at once.

const KEYS = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1 };
const numbers = new WeakMap();
let step = null;

function plots() {
  return document.querySelectorAll("svg[data-step]");
}

/** The steps and the values of a curve, as the server read them. */
function numbersOf(curve) {
  if (!numbers.has(curve)) {
    numbers.set(curve, { steps: JSON.parse(curve.dataset.steps), values: JSON.parse(curve.dataset.values) });
  }
  return numbers.get(curve);
}

/** The value of a curve at the point that is nearest to a step. */
function nearest({ steps, values }, at) {
  let low = 0;
  let high = steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] < at) low = middle;
    else high = middle;
  }
  return values[at - steps[low] < steps[high] - at ? low : high];
}

function inWords(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
}

function moveCross(svg, seen) {
  const { left, right, step: last } = svg.dataset;
  const x = Number(left) + (right - left) * (step / last);
  const cross = svg.querySelector(".cross");
  cross.setAttribute("visibility", seen ? "visible" : "hidden");
  cross.setAttribute("x1", seen ? x : 0);
  cross.setAttribute("x2", seen ? x : 0);
}

function show(svg) {
  const seen = step !== null && step <= Number(svg.dataset.step);
  moveCross(svg, seen);
  const shown = svg.closest("figure").querySelectorAll("[data-last]");
  svg.querySelectorAll("polyline").forEach((curve, place) => {
    shown[place].textContent = seen ? inWords(nearest(numbersOf(curve), step)) : shown[place].dataset.last;
  });
}

/** Shows the chosen step in charts that were drawn anew, or the last values if none is chosen. */
export function showLast() {
  plots().forEach(show);
  const label = document.querySelector("#curves h2");
  if (label) label.dataset.at = step === null ? "" : ` at step ${Math.round(step).toLocaleString("en")}`;
}

function choose(chosen) {
  step = chosen;
  showLast();
}

function stepAt(svg, event) {
  const { left, right, step: last } = svg.dataset;
  const box = svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  return Math.min(Math.max((x - left) / (right - left), 0), 1) * last;
}

function read(svg, spoken) {
  const legend = [...svg.closest("figure").querySelectorAll(".legend li")].map((item) => item.textContent.trim());
  spoken.textContent = `step ${Math.round(step).toLocaleString("en")}: ${legend.join(", ")}`;
}

/** Whether a key chose a step. */
function press(key, last) {
  if (key in KEYS) choose(Math.min(Math.max((step ?? last) + KEYS[key] * last, 0), last));
  else if (key === "Home") choose(0);
  else if (key === "End") choose(last);
  else return false;
  return true;
}

/** Shows the last values again unless keys are reading a chart. */
function leave() {
  if (step !== null && !document.activeElement.matches("svg[data-step]")) choose(null);
}

export function watchCharts(main, spoken) {
  const plotOf = (event) => event.target.closest?.("svg[data-step]");
  main.addEventListener("pointermove", (event) => {
    const svg = plotOf(event);
    if (svg) choose(stepAt(svg, event));
    else leave();
  });
  main.addEventListener("pointerleave", () => choose(null));
  main.addEventListener("keydown", (event) => {
    const svg = plotOf(event);
    if (svg && event.key === "Escape") choose(null);
    if (!svg || !press(event.key, Number(svg.dataset.step))) return;
    event.preventDefault();
    read(svg, spoken);
  });
  // later: a chart that is replaced loses the focus, and gets it back at once
  main.addEventListener("focusout", (event) => { if (plotOf(event)) setTimeout(leave); });
}
