// Reads values off the charts: under the pointer, or step by step with the arrow keys, in all charts at once.

/** @typedef {{steps: number[], values: number[]}} Numbers */

/** @type {Record<string, number>} how far each key moves, as a part of all steps */
const KEYS = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1 };
/** @type {WeakMap<SVGPolylineElement, Numbers>} */
const numbers = new WeakMap();
/** @type {number|null} */
let step = null;

function plots() {
  return /** @type {NodeListOf<SVGSVGElement>} */ (document.querySelectorAll("svg[data-step]"));
}

/** The steps and the values of a curve, as the server read them. @param {SVGPolylineElement} curve */
function numbersOf(curve) {
  const read = numbers.get(curve) ?? { steps: JSON.parse(curve.dataset.steps ?? ""), values: JSON.parse(curve.dataset.values ?? "") };
  numbers.set(curve, read);
  return read;
}

/** The value of a curve at the point that is nearest to a step. @param {Numbers} curve @param {number} at */
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

/** @param {number} value */
function inWords(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
}

/** The pixels and the steps that a plot is between. @param {SVGSVGElement} svg */
function boundsOf({ dataset }) {
  return { left: Number(dataset.left), right: Number(dataset.right), last: Number(dataset.step) };
}

/** @param {SVGSVGElement} svg @param {number|null} seen the step to mark */
function moveCross(svg, seen) {
  const { left, right, last } = boundsOf(svg);
  const x = seen === null ? "0" : String(left + (right - left) * (seen / last));
  const cross = svg.querySelector(".cross");
  cross?.setAttribute("visibility", seen === null ? "hidden" : "visible");
  cross?.setAttribute("x1", x);
  cross?.setAttribute("x2", x);
}

/** @param {SVGSVGElement} svg */
function show(svg) {
  const seen = step !== null && step <= boundsOf(svg).last ? step : null;
  moveCross(svg, seen);
  /** @type {NodeListOf<HTMLElement>} */
  const shown = figureOf(svg).querySelectorAll("[data-last]");
  svg.querySelectorAll("polyline").forEach((curve, place) => {
    shown[place].textContent = seen === null ? shown[place].dataset.last ?? "" : inWords(nearest(numbersOf(curve), seen));
  });
}

/** @param {SVGSVGElement} svg */
const figureOf = (svg) => /** @type {HTMLElement} */ (svg.closest("figure"));

/** Shows the chosen step in charts that were drawn anew, or the last values if none is chosen. */
export function showLast() {
  plots().forEach(show);
  /** @type {HTMLElement|null} */
  const label = document.querySelector("#curves h2");
  if (label) label.dataset.at = step === null ? "" : ` at step ${Math.round(step).toLocaleString("en")}`;
}

/** @param {number|null} chosen */
function choose(chosen) {
  step = chosen;
  showLast();
}

/** @param {SVGSVGElement} svg @param {PointerEvent} event */
function stepAt(svg, event) {
  const { left, right, last } = boundsOf(svg);
  const box = svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  return Math.min(Math.max((x - left) / (right - left), 0), 1) * last;
}

/** @param {SVGSVGElement} svg @param {HTMLElement} spoken */
function read(svg, spoken) {
  const legend = [...figureOf(svg).querySelectorAll(".legend li")].map((item) => item.textContent?.trim());
  spoken.textContent = `step ${Math.round(step ?? 0).toLocaleString("en")}: ${legend.join(", ")}`;
}

/** Whether a key chose a step. @param {string} key @param {number} last */
function press(key, last) {
  if (key in KEYS) choose(Math.min(Math.max((step ?? last) + KEYS[key] * last, 0), last));
  else if (key === "Home") choose(0);
  else if (key === "End") choose(last);
  else return false;
  return true;
}

/** Shows the last values again unless keys are reading a chart. */
function leave() {
  if (step !== null && !document.activeElement?.matches("svg[data-step]")) choose(null);
}

/** @param {HTMLElement} main @param {HTMLElement} spoken says for a screen reader what keys choose */
export function watchCharts(main, spoken) {
  /** @returns {SVGSVGElement|null} */
  const plotOf = (/** @type {any} */ event) => event.target.closest?.("svg[data-step]");
  main.addEventListener("pointermove", (event) => {
    const svg = plotOf(event);
    if (svg) choose(stepAt(svg, event));
    else leave();
  });
  main.addEventListener("pointerleave", () => choose(null));
  main.addEventListener("keydown", (event) => {
    const svg = plotOf(event);
    if (svg && event.key === "Escape") choose(null);
    if (!svg || !press(event.key, boundsOf(svg).last)) return;
    event.preventDefault();
    read(svg, spoken);
  });
  // later: a chart that is replaced loses the focus, and gets it back at once
  main.addEventListener("focusout", (event) => { if (plotOf(event)) setTimeout(leave); });
}
