// The judge: what the discriminator says of pictures that a person drops, pastes or chooses.

import { byId, element, release, show } from "./dom.js";
import { ServerError } from "./server.js";

/** @typedef {{logit: number, p_real: number|null, percentile_real: number, percentile_drawn: number, class?: string|null}} Opinion */

export class Judge {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    const drop = byId("drop"), chosen = byId("chosen");
    byId("judge-failing").textContent = app.model.judge?.error ?? "";
    chosen.addEventListener("change", () => {
      this.judge(chosen.files);
      chosen.value = ""; // the same file may be chosen again
    });
    for (const name of ["dragover", "drop"]) drop.addEventListener(name, (/** @type {DragEvent} */ event) => event.preventDefault());
    drop.addEventListener("drop", (/** @type {any} */ event) => this.judge(event.dataTransfer.files));
    addEventListener("paste", (event) => {
      if (app.state.view === "judge" && event.clipboardData?.files.length) this.judge(event.clipboardData.files);
    });
  }

  show() {
    this.app.say("");
  }

  /** One after the other, so that a picture that cannot be read costs no other one. @param {Iterable<File>} files */
  judge(files) {
    const pictures = [...files];
    this.app.attempt(async () => {
      this.app.complain("");
      this.app.say("Judging.");
      try {
        for (const picture of pictures) await this.judgeOne(picture);
        this.app.tell(`Judged ${pictures.length}.`);
      } finally {
        this.app.say("");
      }
    });
  }

  /** @param {File} picture */
  async judgeOne(picture) {
    const shown = byId("opinions");
    try {
      const { pictures: [opinion], about } = await this.app.server.judge(picture);
      shown.prepend(card(picture, words(opinion)));
      byId("about-judge").textContent = said(about);
    } catch (error) {
      if (!(error instanceof ServerError && [413, 422].includes(error.status))) throw error;
      shown.prepend(card(picture, [element("p", { className: "wrong", textContent: error.message })]));
    }
  }
}

/** @param {File} picture @param {Iterable<Node>} words */
function card(picture, words) {
  const image = element("img"), name = picture.name || "Pasted picture";
  show(image, picture, name);
  const remove = element("button", { className: "close", title: "Remove", ariaLabel: `Remove ${name}`, textContent: "\u00d7" });
  const made = element("figure", {}, image, element("div", {}, element("h3", { textContent: name }), ...words), remove);
  remove.addEventListener("click", () => {
    release(image);
    made.remove();
  });
  return made;
}

/** @param {Opinion} opinion */
function* words({ logit, p_real: real, percentile_real: among, percentile_drawn: drawn, class: name }) {
  yield place("real pictures", among);
  yield place("drawn pictures", drawn);
  const parts = [name && `Most likely ${name}`, real !== null && `p(real) ${(100 * real).toFixed(1)} %`, `logit ${logit.toFixed(2)}`];
  yield element("p", { className: "soft", textContent: parts.filter(Boolean).join(", ") });
}

/** @param {string} kind @param {number} percentile */
function place(kind, percentile) {
  const text = `More real than ${Math.floor(percentile)} % of ${kind}`;
  return element("p", {}, text, element("meter", { max: 100, value: percentile, ariaLabel: text }));
}

/** @param {any} about */
function said({ held_out_pictures: real, drawn_pictures: drawn, roc_auc: pairs }) {
  const n = (/** @type {number} */ count) => count.toLocaleString("en");
  return `Compared with ${n(real)} real pictures that training held out, and with ${n(drawn)} drawn ones. Of such a pair, the discriminator gives the real picture the higher logit in ${Math.round(100 * pairs)} % of cases (chance: 50 %).`;
}
