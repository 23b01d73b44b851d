// The directions: one picture, moved along the directions of the latents that change it most.

import { FARTHEST } from "./address.js";
import { byId, copies, element, enlarge, save, show } from "./dom.js";
import { fill, onClass, onInteger, randomSeed } from "./fields.js";
import { chosen } from "./server.js";

const ROOM = 384, NARROW = 640; // pixels; on a narrow screen the sliders are below the picture, and both are seen
const STEP = 0.1; // standard deviations
const DEVIATION = { normal: 1, uniform: Math.sqrt(1 / 3) }; // of one latent

/** @typedef {import("./address.js").State} State */
/** @typedef {import("./address.js").Address} Address */

export class Directions {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Address & import("./server.js").Latents} the address that is shown */
    this.at = { seed: -1n, index: 0n, latents: [], label: null, member: null, directions: [] };
    /** @type {HTMLInputElement[]} */
    this.sliders = [];
    /** @type {Blob|null} */
    this.png = null;
    this.isWanted = false;
    this.isDrawing = false;
    this.listen();
  }

  listen() {
    const { app } = this;
    onInteger(app, "directions-seed", "The seed", (seed) => app.go({ seed }));
    onInteger(app, "directions-index", "The index", (index) => app.go({ index }));
    onClass("directions-label", app.classes, "As the address says", (label) => app.go({ label }));
    byId("directions-random").addEventListener("click", () => app.go({ seed: randomSeed(), shifts: [] }));
    byId("reset").addEventListener("click", () => app.go({ shifts: [] }));
    byId("save-moved").addEventListener("click", () => this.png && save(this.png, `${app.card.name}-${this.at.seed}-${this.at.index}-moved.png`));
    copies(byId("copy-moved"), () => location.href);
  }

  /** @param {State} state */
  async show(state) {
    fill("directions-seed", state.seed);
    fill("directions-index", state.index);
    byId("directions-label").value = state.label ?? "";
    const { seed, index } = state;
    if (!same(this.at, state)) {
      const found = await this.app.server.latents(seed, index);
      if (!same(this.app.state, state)) return; // another one was asked for meanwhile
      this.at = { seed, index, ...found };
    }
    this.setSliders(this.app.state.shifts);
    await this.draw();
  }

  /** A slider for each direction, at the place that the URL names. @param {number[]} shifts */
  setSliders(shifts) {
    const { length } = this.at.directions;
    byId("no-directions").hidden = length > 0;
    byId("moving").hidden = length === 0;
    if (this.sliders.length !== length) {
      this.sliders = Array.from({ length }, (_, place) => this.slider(place));
      byId("sliders").replaceChildren(...this.sliders.map((slider, place) => row(slider, place)));
    }
    this.sliders.forEach((slider, place) => { slider.value = String(shifts[place] ?? 0); });
  }

  /** @param {number} place */
  slider(place) {
    const slider = element("input", { type: "range", id: `direction-${place}`, min: -FARTHEST, max: FARTHEST, step: STEP });
    slider.addEventListener("input", () => this.app.attempt(() => this.draw()));
    slider.addEventListener("change", () => this.app.note({ shifts: this.shifts() }));
    return slider;
  }

  shifts() {
    return this.sliders.map((slider) => Number(slider.value));
  }

  /** Draw what the sliders say. While a picture is on its way, the last place of the sliders waits. */
  async draw() {
    for (const slider of this.sliders) byId(`${slider.id}-value`).textContent = Number(slider.value).toFixed(1);
    this.isWanted = true;
    if (this.isDrawing) return;
    this.isDrawing = true;
    try {
      while (this.isWanted) await this.drawOnce();
    } finally {
      this.isDrawing = false;
    }
  }

  async drawOnce() {
    this.isWanted = false;
    const { label, spread } = this.app.state, { seed, index, member } = this.at, drawn = label ?? this.at.label;
    const latents = this.moved(), from = member === null ? {} : { member };
    const [moved] = await this.app.server.generate({ latents: [latents], ...chosen({ label: drawn, spread }), ...from }, [index]);
    this.png = moved.png;
    const words = this.app.words(seed, index, drawn) + (this.shifts().some(Boolean) ? ", moved" : "");
    show(byId("moved"), moved.png, words);
    byId("moved-words").textContent = words;
    enlarge(byId("moved"), this.app.card, innerWidth < NARROW ? Math.min(innerWidth - 64, innerHeight / 3) : ROOM);
    this.app.say("");
  }

  /** The latents of the address, moved along the directions. */
  moved() {
    const deviation = DEVIATION[/** @type {"normal"|"uniform"} */ (this.app.card.prior)], shifts = this.shifts();
    return this.at.latents.map((number, place) =>
      this.at.directions.reduce((sum, direction, which) => sum + shifts[which] * deviation * direction[place], number));
  }
}

/** Whether two are one address. @param {Address} one @param {Address} other */
const same = (one, other) => one.seed === other.seed && one.index === other.index;

/** A slider with its name and its value. @param {HTMLInputElement} slider @param {number} place */
function row(slider, place) {
  const label = element("label", { htmlFor: slider.id, textContent: `Direction ${place + 1}` });
  const value = element("output", { id: `${slider.id}-value` });
  value.htmlFor.add(slider.id);
  return element("div", { className: "slider" }, label, slider, value);
}
