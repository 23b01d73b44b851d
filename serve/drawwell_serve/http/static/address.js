// What the page shows, and the fragment of its URL that says so: #seed=7&index=42&label=Bag

const LIMIT = 2n ** 63n; // of seeds and indices, which are BigInts: numbers lose digits from 2^53 on

export const VIEWS = ["gallery", "walk", "directions", "mix", "judge", "generator", "use"];
export const STEPS = [16, 32, 64, 128];
export const FARTHEST = 4; // standard deviations that a slider of a direction moves the latents

/**
 * @typedef {{seed: bigint, index: bigint}} Address
 * @typedef {object} State
 * @property {string} view
 * @property {bigint} seed
 * @property {bigint} index the first index that is shown
 * @property {number|null} label the class that is drawn; null for the classes of the addresses
 * @property {number} spread a factor of the latents
 * @property {bigint|null} image the index of the picture that is open
 * @property {Address} from
 * @property {Address} to
 * @property {number} steps
 * @property {number[]} shifts how far a picture is moved along each direction, in standard deviations
 */

/**
 * A seed or an index. Throws a sentence for anything else.
 * @param {string} name
 * @param {string} text
 */
export function integer(name, text) {
  const plain = text.trim().replaceAll(/[,_\s]/g, "");
  if (!/^\d{1,19}$/.test(plain) || BigInt(plain) >= LIMIT) {
    throw new RangeError(`${name} must be a whole number from 0 to 2^63 - 1, not ${text.slice(0, 40) || "empty"}.`);
  }
  return BigInt(plain);
}

/** The number of images from `first` on, at most `count`: no index is 2^63. @param {bigint} first @param {number} count */
export const countFrom = (first, count) => Number(LIMIT - first < count ? LIMIT - first : BigInt(count));

/** The address beside another one. @param {Address} address */
export const neighbour = ({ seed, index }) => ({ seed, index: countFrom(index, 2) === 2 ? index + 1n : index - 1n });

/**
 * The state that a fragment names, and a sentence for each part of it that is wrong.
 * @param {string} fragment
 * @param {string[]} classes
 */
export function parse(fragment, classes) {
  const fields = new URLSearchParams(fragment.replace(/^#/, "")), problems = /** @type {string[]} */ ([]);
  /** @template T @param {string} name @param {T} otherwise @param {(text: string) => T} read */
  const field = (name, otherwise, read) => {
    const text = fields.get(name);
    if (text === null) return otherwise;
    try {
      return read(text);
    } catch (error) {
      problems.push(/** @type {Error} */ (error).message);
      return otherwise;
    }
  };
  const seed = field("seed", 7n, (text) => integer("The seed", text));
  const index = field("index", 0n, (text) => integer("The index", text));
  const from = field("from", { seed, index }, (text) => pair("from", text));
  const state = {
    view: field("view", "gallery", (text) => oneOf("view", text, VIEWS)),
    seed: fields.has("seed") ? seed : from.seed, // the gallery begins where a walk begins
    index: fields.has("index") ? index : from.index,
    label: field("label", null, (text) => labelOf(text, classes)),
    spread: field("truncation", field("spread", 1, (text) => factor("spread", text, 2)), (text) => factor("truncation", text, 1)),
    image: field("image", null, (text) => integer("The image", text)),
    from,
    to: field("to", neighbour(from), (text) => pair("to", text)),
    shifts: field("shifts", [], (text) => text.split(",").map(shift)),
    steps: field("steps", 64, (text) => Number(oneOf("steps", text, STEPS.map(String)))),
  };
  return { state: /** @type {State} */ (state), problems };
}

/**
 * The fragment of a state.
 * @param {State} state
 * @param {string[]} classes
 */
export function format(state, classes) {
  const fields = new URLSearchParams();
  if (state.view !== "gallery") fields.set("view", state.view);
  if (state.view === "walk") {
    fields.set("from", `${state.from.seed}/${state.from.index}`);
    fields.set("to", `${state.to.seed}/${state.to.index}`);
    fields.set("steps", String(state.steps));
  } else {
    fields.set("seed", String(state.seed));
    fields.set("index", String(state.index));
  }
  if (state.view === "directions" && state.shifts.some(Boolean)) fields.set("shifts", state.shifts.join(","));
  if (state.label !== null) fields.set("label", nameOf(state.label, classes));
  if (state.spread !== 1) fields.set(state.spread < 1 ? "truncation" : "spread", String(state.spread));
  if (state.image !== null) fields.set("image", String(state.image));
  return `#${String(fields).replaceAll("%2F", "/").replaceAll("%2C", ",")}`;
}

/** The name of a class, or its number where another class before it has the same name. @param {number} label @param {string[]} classes */
const nameOf = (label, classes) => (classes.indexOf(classes[label]) === label ? classes[label] : String(label));

/** @param {string} text @param {string[]} classes */
function labelOf(text, classes) {
  const named = classes.indexOf(text);
  if (named >= 0) return named;
  if (/^\d{1,9}$/.test(text) && Number(text) < classes.length) return Number(text);
  throw new RangeError(classes.length ? `This generator has no class ${text.slice(0, 80)}.` : "This generator has no classes.");
}

/** @param {string} name @param {string} text */
function pair(name, text) {
  const [seed, index, ...rest] = text.split("/");
  if (index === undefined || rest.length) throw new RangeError(`${name} must be SEED/INDEX, not ${text.slice(0, 40)}.`);
  return { seed: integer(`The seed of ${name}`, seed), index: integer(`The index of ${name}`, index) };
}

/** @param {string} name @param {string} text @param {number} most */
function factor(name, text, most) {
  const number = Number(text);
  if (!text.trim() || !(number > 0 && number <= most)) throw new RangeError(`${name} must be above 0 and at most ${most}, not ${text.slice(0, 40)}.`);
  return number;
}

/** @param {string} text */
function shift(text) {
  const number = Number(text);
  if (!text.trim() || !(Math.abs(number) <= FARTHEST)) throw new RangeError(`shifts must be numbers from -${FARTHEST} to ${FARTHEST}, not ${text.slice(0, 40) || "empty"}.`);
  return number;
}

/** @param {string} name @param {string} text @param {string[]} several */
function oneOf(name, text, several) {
  if (!several.includes(text)) throw new RangeError(`${name} must be one of ${several.join(", ")}, not ${text.slice(0, 40)}.`);
  return text;
}
