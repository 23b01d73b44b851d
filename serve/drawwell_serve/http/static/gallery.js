// The gallery: pictures of one seed from an index on, without end.

import { countFrom } from "./address.js";
import { byId, element, release, settled, show } from "./dom.js";
import { fill, onClass, onInteger, randomSeed } from "./fields.js";

const PAGE = 200; // pictures of one request
const GAP = 4, TILE = 84; // pixels; a tile is a whole multiple of the picture, so that it is sharp
const MARGIN = "1200px 0px"; // how far from the window pictures are loaded

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
    this.building = new AbortController();
    this.observer = new IntersectionObserver((seen) => seen.forEach((one) => this.seen(one)), { rootMargin: MARGIN });
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
    this.building.abort();
    const { signal } = (this.building = new AbortController());
    this.columns = this.fitting();
    const page = new Page(this, first);
    this.grid.setAttribute("aria-busy", "true");
    try {
      await page.fill(signal);
    } finally {
      if (!signal.aborted) this.grid.setAttribute("aria-busy", "false");
    }
    for (const old of this.pages) old.empty();
    this.observer.disconnect();
    this.pages = [];
    this.grid.replaceChildren();
    this.append(page);
    scrollTo(0, 0);
    this.reported = first;
    fill("index", first);
    byId("earlier").hidden = first === 0n;
    this.say(first, page.count);
  }

  /** @param {Page} page */
  append(page) {
    this.pages.push(page);
    this.grid.append(page.list);
    this.observer.observe(page.list);
  }

  /** A page has come near the window, or has left it. @param {IntersectionObserverEntry} entry */
  seen(entry) {
    const page = this.pages.find(({ list }) => list === entry.target);
    if (!page) return;
    page.isNear = entry.isIntersecting;
    if (!entry.isIntersecting) return page.empty();
    this.app.attempt(() => page.fill(this.building.signal));
    const after = page.first + BigInt(page.count);
    if (page === this.pages.at(-1) && countFrom(after, 1)) this.append(new Page(this, after));
  }

  fitting() {
    return Math.max(1, Math.floor((this.grid.clientWidth + GAP) / (this.tile.width + GAP)));
  }

  resize() {
    if (this.grid.clientWidth && this.pages.length && this.fitting() !== this.columns) this.app.attempt(() => this.build(this.reported));
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
    this.gallery = gallery;
    this.first = first;
    this.count = countFrom(first, gallery.size);
    this.list = element("ul", { className: "tiles" });
    this.list.style.setProperty("--columns", String(gallery.columns));
    this.list.style.setProperty("--rows", String(Math.ceil(this.count / gallery.columns)));
    this.state = "empty";
    this.isNear = true;
  }

  /** @param {AbortSignal} signal */
  async fill(signal) {
    if (this.state !== "empty") return;
    this.state = "filling";
    const { app } = this.gallery, { seed, label, spread } = app.state;
    try {
      const pictures = await app.server.draw({ seed, label, spread }, this.first, this.count, signal);
      signal.throwIfAborted();
      this.state = this.isNear ? "full" : "empty"; // a person may have scrolled on meanwhile
      if (this.isNear) this.list.replaceChildren(...pictures.map((picture, place) => tile(app, seed, picture, place)));
    } catch (error) {
      this.state = "empty";
      if (!signal.aborted) this.list.replaceChildren(this.retry(signal));
      throw error;
    }
  }

  /** @param {AbortSignal} signal */
  retry(signal) {
    const button = element("button", { className: "retry", textContent: "Try again" });
    button.addEventListener("click", () => this.gallery.app.attempt(() => this.fill(signal)));
    return element("li", {}, button);
  }

  empty() {
    if (this.state !== "full" || this.list.contains(document.activeElement)) return;
    this.list.querySelectorAll("img").forEach(release);
    this.list.replaceChildren();
    this.state = "empty";
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
