// The mix: the latents of an address under every class.

import { countFrom } from "./address.js";
import { byId, element, release, show } from "./dom.js";
import { fill, onInteger, randomSeed } from "./fields.js";
import { MOST_PICTURES, chosen } from "./server.js";

const ROWS = 8, MOST_COLUMNS = 24; // with more classes, one address fills the view

/** @typedef {{index: bigint, label: number}} Cell */

export class Mix {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.key = "";
    this.rows = app.classes.length > MOST_COLUMNS ? 1 : ROWS;
    this.loading = new AbortController();
    onInteger(app, "mix-seed", "The seed", (seed) => app.go({ seed }));
    onInteger(app, "mix-index", "The first index", (index) => app.go({ index }));
    byId("mix-random").addEventListener("click", () => app.go({ seed: randomSeed() }));
    byId("mix-earlier").addEventListener("click", () => this.step(-BigInt(this.rows)));
    byId("mix-later").addEventListener("click", () => this.step(BigInt(this.rows)));
    byId("classes").addEventListener("click", (/** @type {any} */ event) => {
      const data = event.target.closest("button[data-index]")?.dataset;
      if (data) app.go({ image: BigInt(data.index), label: Number(data.label) });
    });
  }

  /** @param {bigint} by */
  step(by) {
    const index = this.app.state.index + by;
    if (countFrom(index, 1)) this.app.go({ index: index < 0n ? 0n : index });
  }

  hide() {
    this.loading.abort();
  }

  /** @param {import("./address.js").State} state */
  async show(state) {
    fill("mix-seed", state.seed);
    fill("mix-index", state.index);
    byId("mix-earlier").disabled = state.index === 0n;
    const key = `${state.seed} ${state.index} ${state.spread}`;
    if (key === this.key) return;
    this.loading.abort();
    const { signal } = (this.loading = new AbortController());
    const cells = this.cells(state.index), pictures = [];
    for (let place = 0; place < cells.length; place += this.most) {
      pictures.push(...(await this.draw(state, cells.slice(place, place + this.most), signal)));
    }
    signal.throwIfAborted();
    this.key = key;
    byId("classes").querySelectorAll("img").forEach(release);
    byId("classes").replaceChildren(this.rows === 1 ? this.wall(cells, pictures) : this.table(cells, pictures));
    this.app.say("");
    this.app.tell(`Seed ${state.seed}, every class from index ${state.index} on.`);
  }

  get most() {
    return Math.min(MOST_PICTURES, this.app.model.max_count);
  }

  /** Every class of each address, row by row. @param {bigint} first @returns {Cell[]} */
  cells(first) {
    const rows = Array.from({ length: countFrom(first, this.rows) }, (_, row) => first + BigInt(row));
    return rows.flatMap((index) => this.app.classes.map((_, label) => ({ index, label })));
  }

  /** @param {import("./address.js").State} state @param {Cell[]} cells @param {AbortSignal} signal */
  draw({ seed, spread }, cells, signal) {
    const indices = cells.map(({ index }) => index), labels = cells.map(({ label }) => label);
    return this.app.server.generate({ seed, indices, ...chosen({ label: null, spread }), labels }, indices, signal);
  }

  /** An address in each row, a class in each column. @param {Cell[]} cells @param {import("./server.js").Picture[]} pictures */
  table(cells, pictures) {
    const { classes } = this.app, head = element("tr", {}, element("th", { scope: "col", textContent: "Index" }));
    head.append(...classes.map((name) => element("th", { scope: "col", textContent: name })));
    const body = element("tbody");
    for (let place = 0; place < cells.length; place += classes.length) {
      const row = element("tr", {}, element("th", { scope: "row", textContent: String(cells[place].index) }));
      row.append(...pictures.slice(place, place + classes.length).map((one) => element("td", {}, this.button(one))));
      body.append(row);
    }
    return element("table", { className: "mix" }, element("thead", {}, head), body);
  }

  /** All classes of one address, each with its name. @param {Cell[]} cells @param {import("./server.js").Picture[]} pictures */
  wall(cells, pictures) {
    const caption = (/** @type {Cell} */ { label }) => element("figcaption", { textContent: this.app.classes[label] });
    return element("div", { className: "wall" }, ...cells.map((cell, place) => element("figure", {}, this.button(pictures[place]), caption(cell))));
  }

  /** @param {import("./server.js").Picture} picture */
  button({ index, label, png }) {
    const image = element("img"), words = this.app.words(this.app.state.seed, index, label);
    show(image, png, words);
    const button = element("button", { title: words }, image);
    Object.assign(button.dataset, { index: String(index), label: String(label) });
    return button;
  }
}
