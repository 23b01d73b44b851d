// The walk: pictures between two addresses, to slide through, play and save.

import { byId, enlarge, save, show } from "./dom.js";
import { fill, onClass, onInteger } from "./fields.js";
import { chosen } from "./server.js";
import { tar } from "./tar.js";
import { animate, writesWebp } from "./webp.js";

const MILLISECONDS = 60; // of a frame
const ROOM = 392, STRIP = 12, SAVED = 256; // pixels, pictures, pixels

/** @typedef {import("./address.js").State} State */

export class Walk {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.key = "";
    /** @type {Blob[]} */
    this.pngs = [];
    /** @type {ImageBitmap[]} */
    this.frames = [];
    this.timer = 0;
    this.direction = 1;
    this.loading = new AbortController();
    this.listen();
  }

  listen() {
    const { app } = this;
    for (const end of /** @type {("from"|"to")[]} */ (["from", "to"])) {
      onInteger(app, `${end}-seed`, "The seed", (seed) => app.go({ [end]: { ...app.state[end], seed } }));
      onInteger(app, `${end}-index`, "The index", (index) => app.go({ [end]: { ...app.state[end], index } }));
      byId(`pick-${end}`).addEventListener("click", () => app.pick(end));
    }
    onClass("walk-label", app.classes, "As the two pictures", (label) => app.go({ label }));
    byId("swap").addEventListener("click", () => app.go({ from: app.state.to, to: app.state.from }));
    byId("steps").addEventListener("change", () => app.go({ steps: Number(byId("steps").value) }));
    byId("step").addEventListener("input", () => { this.pause(); this.draw(); });
    byId("play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    byId("save").addEventListener("click", () => app.attempt(() => this.save()));
    byId("save-frames").addEventListener("click", () => this.saveFrames());
    byId("save").hidden = !writesWebp();
    byId("no-webp").hidden = writesWebp();
  }

  /** @param {State} state */
  async show(state) {
    for (const end of /** @type {("from"|"to")[]} */ (["from", "to"])) {
      fill(`${end}-seed`, state[end].seed);
      fill(`${end}-index`, state[end].index);
    }
    byId("walk-label").value = state.label ?? "";
    byId("steps").value = String(state.steps);
    byId("walk-note").textContent = this.app.card.members?.length
      ? "This generator is a mixture. The generator of the first picture draws the whole walk, so the last step may differ from the second picture." : "";
    const key = this.app.fragment(state);
    if (key === this.key) return;
    this.pause();
    this.allow(false);
    await this.load(state);
    this.key = key;
  }

  /** Whether there is a walk to play and to save. @param {boolean} isLoaded */
  allow(isLoaded) {
    for (const id of ["play", "step", "save", "save-frames"]) byId(id).disabled = !isLoaded;
  }

  hide() {
    this.pause();
    this.loading.abort();
  }

  /** @param {State} state */
  async load(state) {
    this.loading.abort();
    const { signal } = (this.loading = new AbortController());
    const ends = await Promise.all([this.end("from", state, signal), this.end("to", state, signal)]);
    const interpolate = { from: state.from, to: state.to, steps: state.steps };
    const fields = { interpolate, ...chosen({ label: null, spread: state.spread }), ...this.labels(state, ends) };
    const pictures = await this.app.server.generate(fields, Array(state.steps).fill(0n), signal);
    const frames = await Promise.all(pictures.map(({ png }) => createImageBitmap(png)));
    signal.throwIfAborted();
    this.frames.forEach((frame) => frame.close());
    this.pngs = pictures.map(({ png }) => png);
    this.frames = frames;
    this.allow(true);
    Object.assign(byId("step"), { max: state.steps - 1, value: 0 });
    this.draw();
    this.drawStrip();
  }

  /** Show one of the two pictures, and return its class. */
  async end(/** @type {"from"|"to"} */ end, /** @type {State} */ state, /** @type {AbortSignal} */ signal) {
    const { seed, index } = state[end];
    const [picture] = await this.app.server.draw({ seed, label: state.label, spread: state.spread }, index, 1, signal);
    show(byId(`${end}-picture`), picture.png, this.app.words(seed, index, picture.label));
    return picture.label;
  }

  /** The class of each step: the chosen one, or that of the nearer picture. @param {State} state @param {(number|null)[]} ends */
  labels({ label, steps }, [from, to]) {
    if (!this.app.classes.length) return {};
    if (label !== null || from === to) return { labels: label ?? from };
    return { labels: Array.from({ length: steps }, (_, step) => (step < steps / 2 ? from : to)) };
  }

  /** Draw the step that the slider is at. */
  draw() {
    const step = Number(byId("step").value), frame = this.frames[step], canvas = byId("frame");
    if (!frame) return;
    Object.assign(canvas, { width: frame.width, height: frame.height });
    enlarge(canvas, frame, Math.min(ROOM, innerWidth - 64));
    canvas.getContext("2d").drawImage(frame, 0, 0);
    canvas.setAttribute("aria-label", `Step ${step} of the walk`);
    byId("step-value").textContent = `${step} of ${this.frames.length - 1}`;
  }

  /** Draw pictures from the whole walk beside each other. */
  drawStrip() {
    const strip = byId("strip"), { width, height } = this.frames[0], last = this.frames.length - 1;
    Object.assign(strip, { width: STRIP * width, height });
    for (let place = 0; place < STRIP; place++) {
      strip.getContext("2d").drawImage(this.frames[Math.round((place * last) / (STRIP - 1))], place * width, 0);
    }
  }

  /** Play there and back until a person pauses. */
  play() {
    const slider = byId("step");
    this.timer = setInterval(() => {
      const step = Number(slider.value);
      if (step >= this.frames.length - 1) this.direction = -1;
      if (step <= 0) this.direction = 1;
      slider.value = String(step + this.direction);
      this.draw();
    }, MILLISECONDS);
    this.showPlaying();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = 0;
    this.showPlaying();
  }

  showPlaying() {
    byId("play").textContent = this.timer ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(Boolean(this.timer)));
  }

  /** Save the walk there and back. */
  async save() {
    const back = this.pngs.slice(1, -1).reverse();
    const factor = Math.ceil(SAVED / Math.max(this.frames[0].width, this.frames[0].height));
    this.app.say("Writing the animation.");
    const webp = await animate([...this.pngs, ...back], factor, MILLISECONDS);
    save(webp, `${this.name}.webp`);
    this.app.say(`Saved ${this.pngs.length + back.length} frames.`);
  }

  /** Save the pictures from one end to the other. */
  saveFrames() {
    save(tar(this.pngs.map((png, step) => [`${String(step).padStart(3, "0")}.png`, png])), `${this.name}.tar`);
  }

  get name() {
    const { from, to } = this.app.state;
    return `${this.app.card.name}-${from.seed}-${from.index}-to-${to.seed}-${to.index}`;
  }
}
