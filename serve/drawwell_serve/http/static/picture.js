// One picture in a dialog: enlarged, with its address and the ways to get it.

import { countFrom } from "./address.js";
import { byId, copies, element, enlarge, release, show } from "./dom.js";
import { snippets } from "./snippets.js";

const ROOM = 512; // pixels

export class PictureDialog {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.dialog = byId("picture");
    this.key = "";
    /** @type {Blob|null} what is shown */
    this.png = null;
    byId("mix-here").hidden = !app.classes.length;
    byId("judge-this").hidden = !app.judge;
    byId("judge-this").addEventListener("click", () => this.judge());
    byId("previous").addEventListener("click", () => this.step(-1n));
    byId("next").addEventListener("click", () => this.step(1n));
    byId("walk-from").addEventListener("click", () => app.pick("to", { from: this.address() }));
    byId("change-here").addEventListener("click", () => app.go({ view: "directions", index: this.address().index, image: null, shifts: [] }));
    byId("mix-here").addEventListener("click", () => app.go({ view: "mix", index: this.address().index, image: null, label: null }));
    copies(byId("copy-link"), () => this.page());
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (/** @type {any} */ event) => this.keydown(event));
  }

  address() {
    return { seed: this.app.state.seed, index: /** @type {bigint} */ (this.app.state.image) };
  }

  judge() {
    const { app, png } = this, picture = new File(png ? [png] : [], byId("enlarged").alt, { type: "image/png" });
    app.go({ view: "judge", image: null });
    app.judge?.judge([picture]);
  }

  /** @param {bigint} by */
  step(by) {
    const index = this.address().index + by;
    if (index >= 0n && countFrom(index, 1)) this.app.go({ image: index }, false);
  }

  /** @param {KeyboardEvent} event */
  keydown(event) {
    const by = { ArrowLeft: -1n, ArrowRight: 1n }[event.key];
    if (by && /** @type {Element} */ (event.target).tagName !== "PRE") this.step(by);
  }

  closed() {
    release(byId("enlarged"));
    this.key = "";
    if (this.app.state.image !== null) this.app.go({ image: null, ...(this.app.state.view === "mix" ? { label: null } : {}) });
  }

  /** @param {import("./address.js").State} state */
  async show(state) {
    if (state.image === null) return this.dialog.open ? this.dialog.close() : undefined;
    const { seed, image: index, label, spread } = state, key = `${seed} ${index} ${label} ${spread}`;
    if (key === this.key) return;
    this.key = key;
    const [picture] = await this.app.server.draw({ seed, label, spread }, index, 1);
    if (key !== this.key) return; // another one was asked for meanwhile
    this.fill(state, picture);
    if (!this.dialog.open) this.dialog.showModal();
    enlarge(byId("enlarged"), this.app.card, Math.min(ROOM, innerWidth - 140, Math.max(160, innerHeight - 420)));
  }

  /** @param {import("./address.js").State} state @param {import("./server.js").Picture} picture */
  fill({ seed, label, spread }, { index, label: drawn, png }) {
    const { app } = this, factor = spread === 1 ? "" : `, ${spread < 1 ? "truncation" : "spread"} ${spread}`;
    byId("picture-heading").textContent = app.words(seed, index, drawn) + factor;
    show(byId("enlarged"), (this.png = png), app.words(seed, index, drawn));
    Object.assign(byId("download"), { href: byId("enlarged").src, download: `${app.card.name}-${seed}-${index}.png` });
    byId("previous").disabled = index === 0n;
    byId("next").disabled = !countFrom(index + 1n, 1);
    const { classes, hasKey } = app, digest = app.model.digest;
    const several = snippets({ choice: { seed, label, spread }, index, digest, classes, hasKey, page: this.page() });
    byId("snippets").replaceChildren(...several.map(([name, text]) => snippet(name, text)));
  }

  /** The URL of this page with this picture open. */
  page() {
    const { seed, index } = this.address(), state = { ...this.app.state, view: "gallery", seed, index, image: index };
    return new URL(this.app.fragment(state), location.href).href;
  }
}

/** A text to copy. @param {string} name @param {string} text */
function snippet(name, text) {
  const button = element("button", { textContent: "Copy" });
  button.setAttribute("aria-label", `Copy ${name}`);
  copies(button, () => text);
  return element("div", { className: "snippet" }, element("h3", { textContent: name }), button, element("pre", { textContent: text, tabIndex: 0 }));
}
