// The judge: what the discriminator says of pictures that a person drops, pastes or chooses.

import { byId, element, release, show } from "./dom.js";

const MOST = 64, MOST_BYTES = 15 << 20; // of one request, whose body may have 16 MiB

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

  /** @param {Iterable<File>} files */
  judge(files) {
    this.app.attempt(async () => {
      this.app.complain("");
      this.app.say("Judging.");
      for (const pictures of batches(files)) await this.judgeOnce(pictures);
      this.app.say("");
    });
  }

  /** @param {File[]} pictures */
  async judgeOnce(pictures) {
    const { pictures: opinions, about } = await this.app.server.judge(pictures);
    byId("opinions").prepend(...pictures.map((picture, place) => card(picture, opinions[place])));
    byId("about-judge").textContent = said(about);
    this.app.tell(`${opinions.length} judged.`);
  }
}

/** Pictures that one request may hold, and so on. @param {Iterable<File>} files */
function* batches(files) {
  let batch = /** @type {File[]} */ ([]), bytes = 0;
  for (const file of files) {
    if (batch.length === MOST || (batch.length && bytes + file.size > MOST_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length) yield batch;
}

/** @param {File} picture @param {Opinion} opinion */
function card(picture, opinion) {
  const image = element("img"), name = picture.name || "Pasted picture";
  show(image, picture, name);
  const remove = element("button", { className: "close", title: "Remove", ariaLabel: `Remove ${name}`, textContent: "\u00d7" });
  const made = element("figure", {}, image, element("div", {}, element("h3", { textContent: name }), ...words(opinion)), remove);
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
  const parts = [name && `Most likely ${name}`, real !== null && `p(real) ${real.toFixed(3)}`, `logit ${logit.toFixed(2)}`];
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
