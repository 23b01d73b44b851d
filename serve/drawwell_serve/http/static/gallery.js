// The gallery: pictures of one seed from an index on, without end.

import { countFrom } from "./address.js";
import { byId, element, everyFrame, pause, release, settled, show } from "./dom.js";
import { fill, onClass, onInteger, randomSeed } from "./fields.js";

const PAGE = 200; // pictures of one request
const GAP = 4, TILE = 84; // pixels; a tile is a whole multiple of the picture, so that it is sharp
const MARGIN = 1200; // pixels: how far from the window pictures are kept
const PASSING = 80; // milliseconds: a page that a person scrolls past faster is not asked for

/** @typedef {import("./address.js").State} State */

export class Gallery {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.grid = byId("pictures");
    this.columns = 0;
    this.key = "";
    this.reported = -1n; // the index that the URL names
    /** @type {Page[]} */
    this.pages = [];
    /** @type {Page|null} the first page of what is shown next */
    this.building = null;
    const { width, height } = app.card, factor = Math.max(1, Math.round(TILE / width));
    this.tile = { width: factor * width, height: factor * height };
    document.documentElement.style.setProperty("--tile-width", `${this.tile.width}px`);
    document.documentElement.style.setProperty("--tile-height", `${this.tile.height}px`);
    this.listen();
  }

  listen() {
    const { app } = this;
    onInteger(app, "seed", "The seed", (seed) => app.go({ seed }));
    onInteger(app, "index", "The first index", (index) => app.go({ index }));
    onClass("label", app.classes, "As each address says", (label) => app.go({ label }));
    byId("random").addEventListener("click", () => app.go({ seed: randomSeed(), index: 0n }));
    byId("earlier").addEventListener("click", () => app.go({ index: this.earlier() }));
    byId("spread").addEventListener("input", settled(60, () => app.go({ spread: Number(byId("spread").value) }, false)));
    byId("picking").querySelector("button").addEventListener("click", () => { app.picking = null; this.ask(); });
    this.grid.addEventListener("click", (/** @type {any} */ event) => {
      const tile = event.target.closest("button[data-index]");
      if (tile) app.choose(BigInt(tile.dataset.index));
    });
    this.grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.move(event));
    new ResizeObserver(settled(100, () => this.resize())).observe(this.grid);
    for (const event of ["scroll", "resize"]) addEventListener(event, everyFrame(() => this.arrange()), { passive: true });
    addEventListener("scroll", settled(100, () => this.report()), { passive: true });
  }

  /** @param {State} state */
  async show(state) {
    fill("seed", state.seed);
    byId("label").value = state.label ?? "";
    byId("spread").value = String(state.spread);
    byId("spread-value").textContent = String(state.spread);
    this.ask();
    const key = `${state.seed} ${state.label} ${state.spread}`;
    if (key === this.key && state.index === this.reported && this.pages.length) return;
    this.key = key;
    await this.build(state.index);
  }

  /** Say which end of a walk a click chooses. */
  ask() {
    const { picking } = this.app, box = byId("picking");
    box.hidden = !picking;
    box.querySelector("span").textContent = `Choose the picture where the walk ${picking === "from" ? "begins" : "ends"}.`;
  }

  hide() {
    this.app.picking = null;
    this.key = ""; // the window is scrolled elsewhere when the gallery returns
  }

  /** Show the pictures from `first` on. The old ones stay until the new ones have come. @param {bigint} first */
  async build(first) {
    this.building?.empty();
    this.columns = this.fitting();
    const page = (this.building = new Page(this, first));
    this.grid.setAttribute("aria-busy", "true");
    try {
      await page.fill();
    } finally {
      if (page === this.building) this.present(page); // if it failed it says so, and can be tried again
    }
  }

  /** @param {Page} page */
  present(page) {
    this.building = null;
    this.grid.setAttribute("aria-busy", "false");
    for (const old of this.pages) old.empty();
    this.pages = [page];
    this.grid.replaceChildren(page.list);
    scrollTo(0, 0);
    this.reported = page.first;
    fill("index", page.first);
    byId("earlier").hidden = page.first === 0n;
    this.say(page.first, page.count);
    this.arrange();
  }

  /** Fill the pages near the window, empty the others except the one with the keyboard's focus, and append pages while the last one is near. */
  arrange() {
    if (!this.grid.clientWidth) return; // another view is shown
    for (const page of this.pages) {
      if (page.isNear()) this.app.attempt(() => page.fill(PASSING));
      else if (!page.list.contains(document.activeElement)) page.empty();
      const after = page.first + BigInt(page.count);
      if (page === this.pages.at(-1) && page.isNear() && countFrom(after, 1)) this.append(new Page(this, after));
    }
  }

  /** @param {Page} page */
  append(page) {
    this.pages.push(page);
    this.grid.append(page.list);
  }

  fitting() {
    return Math.max(1, Math.floor((this.grid.clientWidth + GAP) / (this.tile.width + GAP)));
  }

  resize() {
    if (!this.grid.clientWidth || !this.pages.length) return;
    if (this.fitting() === this.columns) this.arrange();
    else this.app.attempt(() => this.build(this.reported));
  }

  /** Pictures of a page: whole rows. */
  get size() {
    return this.columns * Math.max(1, Math.floor(Math.min(PAGE, this.app.model.max_count) / this.columns));
  }

  earlier() {
    const first = this.reported - BigInt(this.size);
    return first < 0n ? 0n : first;
  }

  /** Say in the URL which row is at the top of the window. */
  report() {
    const page = this.pages.find(({ list }) => list.getBoundingClientRect().bottom > 0);
    if (this.app.state.view !== "gallery" || !page) return;
    const above = Math.max(0, -page.list.getBoundingClientRect().top);
    const first = page.first + BigInt(this.columns * Math.floor(above / (this.tile.height + GAP)));
    if (first === this.reported) return;
    this.reported = first;
    this.app.note({ index: first });
    fill("index", first);
  }

  /** @param {bigint} first @param {number} count */
  say(first, count) {
    const { seed, label } = this.app.state, kind = label === null ? "" : `, class ${this.app.classes[label]}`;
    this.app.say("");
    this.app.tell(`Seed ${seed}, from index ${first} on${kind}.${count ? "" : " No picture has a higher index."}`);
  }

  /** Arrow keys move between pictures. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
    if (!step) return;
    const tiles = /** @type {HTMLElement[]} */ ([...this.grid.querySelectorAll("button[data-index]")]);
    const next = tiles[tiles.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + step];
    if (next) next.focus();
    event.preventDefault();
  }
}

/** The pictures of one request. Far from the window it is empty, and keeps its height; the browser still has its pictures. */
class Page {
  /** @param {Gallery} gallery @param {bigint} first */
  constructor(gallery, first) {
    const { seed, label, spread } = gallery.app.state;
    this.app = gallery.app;
    this.choice = { seed, label, spread };
    this.first = first;
    this.count = countFrom(first, gallery.size);
    this.list = element("ul", { className: "tiles" });
    this.list.style.setProperty("--columns", String(gallery.columns));
    this.list.style.setProperty("--rows", String(Math.ceil(this.count / gallery.columns)));
    /** @type {AbortController|null} ends the request; null while the page is empty */
    this.filling = null;
  }

  isNear() {
    const { top, bottom } = this.list.getBoundingClientRect();
    return bottom > -MARGIN && top < innerHeight + MARGIN;
  }

  /** @param {number} milliseconds to wait first */
  async fill(milliseconds = 0) {
    if (this.filling) return;
    const { signal } = (this.filling = new AbortController());
    try {
      await pause(milliseconds, signal);
      const pictures = await this.app.server.draw(this.choice, this.first, this.count, signal);
      signal.throwIfAborted();
      this.list.replaceChildren(...pictures.map((picture, place) => tile(this.app, this.choice.seed, picture, place)));
    } catch (error) {
      if (!signal.aborted) this.list.replaceChildren(this.retry());
      throw error;
    }
  }

  retry() {
    const button = element("button", { className: "retry", textContent: "Try again" });
    button.addEventListener("click", () => {
      this.empty();
      this.app.complain("");
      this.app.attempt(() => this.fill());
    });
    return element("li", {}, button);
  }

  /** Free the pictures, or stop their request. */
  empty() {
    if (!this.filling) return;
    this.filling.abort();
    this.filling = null;
    this.list.querySelectorAll("img").forEach(release);
    this.list.replaceChildren();
  }
}

/** A picture as a button. Tab goes from page to page. */
function tile(/** @type {any} */ app, /** @type {bigint} */ seed, /** @type {any} */ { index, label, png }, /** @type {number} */ place) {
  const image = element("img", { decoding: "async" }), words = app.words(seed, index, label);
  show(image, png, words);
  const button = element("button", { title: words, tabIndex: place ? -1 : 0 }, image);
  button.dataset.index = String(index);
  return element("li", {}, button);
}
