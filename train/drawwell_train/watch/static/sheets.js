// The sample sheets of a run, or of two, over time: by a slider, or played.

import { byId } from "./dom.js";

const FRAME_MS = 120;
/** @typedef {{step: number, isPlaying: boolean}} Chosen what a person has chosen */

/** @type {number|null} the timer of what plays */
let playing = null;

/** @param {HTMLElement|null} button */
function stop(button) {
  clearInterval(playing ?? undefined);
  playing = null;
  if (button) button.textContent = "Play";
}

/** The newest step of a sheet that is not after the chosen one; the first if all are. @param {number[]} steps @param {number} chosen */
function newestUntil(steps, chosen) {
  return steps.findLast((step) => step <= chosen) ?? steps[0];
}

/** @param {Element} section @param {number[]} steps @param {HTMLInputElement} slider */
function show(section, steps, slider) {
  const chosen = steps[Number(slider.value)];
  const words = `step ${chosen.toLocaleString("en")}`;
  byId("sheet-label").textContent = words;
  slider.setAttribute("aria-valuetext", words);
  for (const image of section.querySelectorAll("img")) {
    const { steps: own, base, query, alt } = image.dataset;
    const step = newestUntil(JSON.parse(own ?? "[]"), chosen);
    image.src = `${base}${step}${query}`;
    image.alt = alt + step.toLocaleString("en");
    image.closest("figure")?.querySelector(".at")?.replaceChildren(`step ${step.toLocaleString("en")}`);
  }
}

/** @param {Element} section @param {number[]} steps @param {HTMLInputElement} slider @param {HTMLElement} button */
function play(section, steps, slider, button) {
  if (playing) return stop(button);
  if (Number(slider.value) === steps.length - 1) slider.value = "0";
  button.textContent = "Pause";
  playing = setInterval(() => {
    slider.value = String(Number(slider.value) + 1);
    show(section, steps, slider);
    if (Number(slider.value) === steps.length - 1) stop(button);
  }, FRAME_MS);
}

/** The step that a person has chosen, and whether the sheets play; null if the newest is shown. @param {Element} section @returns {Chosen|null} */
export function keepSheet(section) {
  /** @type {HTMLInputElement|null} */
  const slider = section.querySelector("#sheet-step");
  if (!slider || (slider.value === slider.max && !playing)) return null;
  return { step: JSON.parse(slider.dataset.steps ?? "[]")[Number(slider.value)], isPlaying: playing !== null };
}

/** @param {Element|null} section @param {Chosen|null} chosen */
export function watchSheets(section, chosen) {
  /** @type {any} */
  const slider = section?.querySelector("#sheet-step");
  if (!section || !slider) return;
  stop(null);
  /** @type {number[]} */
  const steps = JSON.parse(slider.dataset.steps);
  const button = byId("sheet-play");
  slider.closest(".player").hidden = steps.length < 2;
  slider.value = chosen ? Math.max(steps.findLastIndex((step) => step <= chosen.step), 0) : steps.length - 1;
  show(section, steps, slider);
  slider.addEventListener("input", () => { stop(button); show(section, steps, slider); });
  button.addEventListener("click", () => play(section, steps, slider, button));
  if (chosen?.isPlaying) play(section, steps, slider, button);
}
