// The sample sheets of a run, or of two, over time: by a slider, or played.

const FRAME_MS = 120;
let playing = null;

function stop(button) {
  clearInterval(playing);
  playing = null;
  if (button) button.textContent = "Play";
}

/** The newest step of a sheet that is not after the chosen one; the first if all are. */
function newestUntil(steps, chosen) {
  return steps.findLast((step) => step <= chosen) ?? steps[0];
}

function show(section, steps, slider) {
  const chosen = steps[slider.value];
  const words = `step ${chosen.toLocaleString("en")}`;
  section.querySelector("#sheet-label").textContent = words;
  slider.setAttribute("aria-valuetext", words);
  for (const image of section.querySelectorAll("img")) {
    const step = newestUntil(JSON.parse(image.dataset.steps), chosen);
    image.src = `${image.dataset.base}${step}${image.dataset.query}`;
    image.alt = image.dataset.alt + step.toLocaleString("en");
    image.closest("figure").querySelector(".at").textContent = `step ${step.toLocaleString("en")}`;
  }
}

function play(section, steps, slider, button) {
  if (playing) return stop(button);
  if (Number(slider.value) === steps.length - 1) slider.value = 0;
  button.textContent = "Pause";
  playing = setInterval(() => {
    slider.value = Number(slider.value) + 1;
    show(section, steps, slider);
    if (Number(slider.value) === steps.length - 1) stop(button);
  }, FRAME_MS);
}

/** The step that a person has chosen, and whether the sheets play; null if the newest is shown. */
export function keepSheet(section) {
  const slider = section.querySelector("#sheet-step");
  if (!slider || (slider.value === slider.max && !playing)) return null;
  return { step: JSON.parse(slider.dataset.steps)[slider.value], isPlaying: playing !== null };
}

export function watchSheets(section, chosen) {
  const slider = section?.querySelector("#sheet-step");
  if (!slider) return;
  stop(null);
  const steps = JSON.parse(slider.dataset.steps);
  const button = section.querySelector("#sheet-play");
  slider.closest(".player").hidden = steps.length < 2;
  slider.value = chosen ? Math.max(steps.findLastIndex((step) => step <= chosen.step), 0) : steps.length - 1;
  show(section, steps, slider);
  slider.addEventListener("input", () => { stop(button); show(section, steps, slider); });
  button.addEventListener("click", () => play(section, steps, slider, button));
  if (chosen?.isPlaying) play(section, steps, slider, button);
}
