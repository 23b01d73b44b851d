// The numbers of a step, with the words for them.

/** @typedef {import("./frame.js").Frame} Frame */

/** @param {number|null} value */
const inWords = (value, digits = 3) => (value === null ? "no number" : Number(value.toPrecision(digits)).toString());
/** @param {number} value */
const nats = (value) => `${value.toFixed(3)} nats`;

/** @type {[string, string, (value: number, numbers: Frame["numbers"]) => string][]} */
const ROWS = [
  ["step", "Step", (value) => value.toLocaleString("en")],
  ["jsd", "Divergence (JSD)", nats],
  ["bound", "Bound from D", nats],
  ["modes", "Modes with points", (value, numbers) => `${value} of ${numbers.all_modes}`],
  ["near", "Points at a mode", (value) => `${Math.round(100 * value)} %`],
  ["diversity", "Diversity (the data's is 1)", (value) => inWords(value, 2)],
  ["gradient_g", "Gradient norm of G", (value) => inWords(value, 2)],
  ["distance", "Distance from (0, 0)", (value) => inWords(value)],
  ["turns", "Turns", (value) => value.toFixed(1)],
];

/** @param {string} label @param {string} words */
function row(label, words) {
  const [group, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = label;
  value.textContent = words;
  group.append(term, value);
  return group;
}

/** @param {HTMLElement} list @param {Frame} frame */
export function showNumbers(list, frame) {
  /** @type {Frame["numbers"]} */
  const numbers = { step: frame.step, ...frame.numbers };
  const shown = ROWS.filter(([name]) => typeof numbers[name] === "number");
  const together = frame.options.pack > 1 ? ", of packs" : "";
  const rows = shown.map(([name, label, words]) => row(label + (name === "bound" ? together : ""), words(numbers[name], numbers)));
  if (frame.conditions.length) rows.push(row("Conditions", frame.conditions.join(", ")));
  list.replaceChildren(...rows);
}

/** What the picture shows, for a screen reader. @param {Frame} frame */
export function describe(frame) {
  if (frame.sheets) return "A sheet of images that G draws from fixed latents";
  const { x, y, modes, all_modes: all, near } = frame.numbers;
  if (frame.options.data === "product") return `The path of x and y, now at ${inWords(x)} and ${inWords(y)}`;
  return `The surface of D, points of the data, and drawn points: ${Math.round(100 * near)} % of these at ${modes} of ${all} modes`;
}
