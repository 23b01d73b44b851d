// The fields of the forms: they read a person's numbers, and say what is wrong with them.

import { integer } from "./address.js";
import { byId, element } from "./dom.js";

/**
 * Call `take` with the seed or index that a person enters.
 * @param {import("./app.js").App} app
 * @param {string} id
 * @param {string} name
 * @param {(number: bigint) => void} take
 */
export function onInteger(app, id, name, take) {
  const field = byId(id);
  field.form.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  field.addEventListener("change", () => {
    try {
      const number = integer(name, field.value);
      field.removeAttribute("aria-invalid");
      take(number);
    } catch (error) {
      field.setAttribute("aria-invalid", "true");
      app.complain(/** @type {Error} */ (error).message);
    }
  });
}

/** Show a number in a field, unless a person is writing in it. @param {string} id @param {bigint} number */
export function fill(id, number) {
  const field = byId(id);
  if (field === document.activeElement && field.value !== "") return;
  field.value = String(number);
  field.removeAttribute("aria-invalid");
}

/**
 * Call `take` with the class that a person chooses; null for the classes of the addresses.
 * @param {string} id
 * @param {string[]} classes
 * @param {string} own what the first option says
 * @param {(label: number|null) => void} take
 */
export function onClass(id, classes, own, take) {
  const field = byId(id);
  field.append(element("option", { value: "", textContent: own }));
  field.append(...classes.map((name, label) => element("option", { value: String(label), textContent: name })));
  field.addEventListener("change", () => take(field.value === "" ? null : Number(field.value)));
}

/** A seed that is short enough to be read aloud. */
export const randomSeed = () => BigInt(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000);
