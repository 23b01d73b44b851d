// What is shown, in one place: every view reads the state and asks for another one.

import { format, neighbour, parse } from "./address.js";
import { byId } from "./dom.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {{show: (state: State) => Promise<void>|void, hide?: () => void}} View */

export class App {
  /**
   * @param {import("./server.js").Server} server
   * @param {any} model the reply of `GET /model`
   */
  constructor(server, model) {
    this.server = server;
    this.model = model;
    this.card = model.card;
    /** @type {string[]} */
    this.classes = model.card.class_names ?? [];
    this.hasKey = document.body.dataset.hasKey === "true";
    /** @type {Record<string, View>} */
    this.views = {};
    /** @type {View[]} */
    this.dialogs = [];
    /** @type {import("./judge.js").Judge|null} for a server with a discriminator */
    this.judge = null;
    /** @type {"from"|"to"|null} the end of a walk that a person is choosing in the gallery */
    this.picking = null;
    this.hasWalked = false;
    this.state = parse("", this.classes).state;
    addEventListener("popstate", () => this.read());
  }

  /** Show what the fragment of the URL says. */
  read() {
    const { state, problems } = parse(location.hash, this.classes);
    this.render(state);
    if (problems.length) this.complain(problems.join(" "));
  }

  /**
   * Show something else, and say so in the URL.
   * @param {Partial<State>} changes
   * @param {boolean} asStep whether the browser's back button returns from it
   */
  go(changes, asStep = true) {
    const state = { ...this.state, ...changes };
    history[asStep ? "pushState" : "replaceState"](null, "", this.fragment(state));
    this.render(state);
  }

  /** Say in the URL what a person scrolled to. @param {Partial<State>} changes */
  note(changes) {
    this.state = { ...this.state, ...changes };
    history.replaceState(null, "", this.fragment(this.state));
    this.link();
  }

  /** @param {State} state */
  fragment(state) {
    return format(state, this.classes);
  }

  /** @param {State} state */
  render(state) {
    if (state.view === "mix" && !this.classes.length) {
      this.render({ ...state, view: "gallery" });
      return this.complain("This generator has no classes to mix.");
    }
    if (state.view === "judge" && !this.judge) {
      this.render({ ...state, view: "gallery" });
      return this.complain("This server has no discriminator to judge with.");
    }
    if (state.view !== this.state.view) this.views[this.state.view].hide?.();
    this.state = state;
    this.hasWalked ||= state.view === "walk";
    this.complain("");
    this.link();
    for (const name of Object.keys(this.views)) byId(name).hidden = name !== state.view;
    for (const view of [this.views[state.view], ...this.dialogs]) this.attempt(async () => view.show(state));
  }

  /** Let the links of the views keep seed, index, class and spread. */
  link() {
    for (const link of document.querySelectorAll("nav a[data-view]")) {
      const view = /** @type {HTMLElement} */ (link).dataset.view ?? "gallery";
      link.setAttribute("href", this.fragment({ ...this.state, ...this.ends(), view, image: null, label: view === "mix" ? null : this.state.label }));
      if (view === this.state.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** The ends of the walk: the first pictures that are shown, until a person has walked. */
  ends() {
    const { seed, index, from, to } = this.state, first = { seed, index };
    return this.hasWalked ? { from, to } : { from: first, to: neighbour(first) };
  }

  /** Choose an end of a walk in the gallery. @param {"from"|"to"} end @param {Partial<State>} changes */
  pick(end, changes = {}) {
    this.picking = end;
    this.hasWalked = true;
    this.go({ ...changes, view: "gallery", image: null });
  }

  /** A picture of the gallery was chosen: it is an end of a walk, or it opens. @param {bigint} index */
  choose(index) {
    const end = this.picking;
    this.picking = null;
    if (end) this.go({ view: "walk", [end]: { seed: this.state.seed, index } });
    else this.go({ image: index });
  }

  /** Run something that asks the server, and say what went wrong. @param {() => Promise<void>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") this.complain(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} sentence */
  complain(sentence) {
    byId("notice").textContent = sentence;
  }

  /** Tell what is shown to those who do not see it. @param {string} sentence */
  tell(sentence) {
    byId("shown").textContent = sentence;
  }

  /** @param {string} sentence */
  say(sentence) {
    byId("status").textContent = sentence;
  }

  /** A picture in words. @param {bigint} seed @param {bigint} index @param {number|null} label */
  words(seed, index, label) {
    return `Picture ${index} of seed ${seed}${label === null ? "" : `, ${this.classes[label]}`}`;
  }
}
