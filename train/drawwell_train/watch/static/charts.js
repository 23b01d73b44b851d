// Reads values off the charts: under the pointer, or step by step with the arrow keys, in all charts at once.

const KEYS = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1 };
let step = null;

function plots() {
  return document.querySelectorAll("svg[data-step]");
}

/** The point of a curve that is nearest to x; its points are in the order of x. */
function nearest(points, x) {
  let low = 0;
  let high = points.numberOfItems - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points.getItem(middle).x < x) low = middle;
    else high = middle;
  }
  const [before, after] = [points.getItem(low), points.getItem(high)];
  return x - before.x < after.x - x ? before : after;
}

function inWords(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
}

function valueOf(svg, y) {
  const { top, bottom, low, high, log } = svg.dataset;
  const value = Number(low) + ((bottom - y) / (bottom - top)) * (high - low);
  return log === "1" ? 10 ** value : value;
}

function xOf(svg, at) {
  const { left, right, step: last } = svg.dataset;
  return Number(left) + (right - left) * (at / last);
}

function show(svg) {
  const cross = svg.querySelector(".cross");
  const values = svg.closest("figure").querySelectorAll("[data-last]");
  const x = step === null ? null : xOf(svg, step);
  const seen = x !== null && x <= Number(svg.dataset.right);
  cross.setAttribute("visibility", seen ? "visible" : "hidden");
  if (seen) {
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
  }
  svg.querySelectorAll("polyline").forEach((curve, place) => {
    values[place].textContent = seen ? inWords(valueOf(svg, nearest(curve.points, x).y)) : values[place].dataset.last;
  });
}

/** Shows the chosen step in charts that were drawn anew, or the last values if none is chosen. */
export function showLast() {
  plots().forEach(show);
  const label = document.getElementById("curves")?.querySelector("h2");
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

export function watchCharts(main, spoken) {
  const plotOf = (event) => event.target.closest?.("svg[data-step]");
  main.addEventListener("pointermove", (event) => {
    const svg = plotOf(event);
    if (svg) choose(stepAt(svg, event));
    else if (step !== null && !document.activeElement.matches("svg[data-step]")) choose(null);
  });
  main.addEventListener("pointerleave", () => choose(null));
  main.addEventListener("keydown", (event) => {
    const svg = plotOf(event);
    if (!svg) return;
    const last = Number(svg.dataset.step);
    if (event.key in KEYS) choose(Math.min(Math.max((step ?? last) + KEYS[event.key] * last, 0), last));
    else if (event.key === "Home") choose(0);
    else if (event.key === "End") choose(last);
    else if (event.key === "Escape") return choose(null);
    else return;
    event.preventDefault();
    read(svg, spoken);
  });
  main.addEventListener("focusout", (event) => { if (plotOf(event)) choose(null); });
}
