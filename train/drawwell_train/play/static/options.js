// The options: what a person chooses is sent, and what the training has is shown.

/** @typedef {HTMLInputElement|HTMLSelectElement} Field */
/** @typedef {import("./frame.js").Frame} Frame */

const NEVER = ["loss", "prior", "label_smoothing", "pack", "seed"]; // of the game x·y

export class Options {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} problem
   * @param {(command: object) => Promise<string>} send
   */
  constructor(form, problem, send) {
    this.form = form;
    this.problem = problem;
    this.refused = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", async (/** @type {any} */ event) => {
      const sentence = await send({ do: "options", options: this.read() });
      this.refused = sentence !== "";
      problem.textContent = sentence;
      for (const field of this.fields) field.toggleAttribute("aria-invalid", false);
      if (this.refused) event.target.setAttribute("aria-invalid", "true");
    });
  }

  get fields() {
    return /** @type {Field[]} */ ([...this.form.elements]);
  }

  /** A field that holds no number is sent as it is, so that the answer names it. */
  read() {
    const value = (/** @type {Field} */ field) => (field.dataset.kind === "number" && field.value.trim() !== "" ? Number(field.value) : field.value);
    return Object.fromEntries(this.fields.map((field) => [field.name, value(field)]));
  }

  /** Shows the options of the training, but not over what a person types, or what was refused. @param {Frame["options"]} options */
  show(options) {
    for (const field of this.fields) {
      field.disabled = field.name === "preset" ? options.data !== "images" : options.data === "product" && NEVER.includes(field.name);
      if (!this.refused && field !== document.activeElement) field.value = options[field.name];
    }
  }

  forget() {
    this.refused = false;
    this.problem.textContent = "";
    for (const field of this.fields) field.removeAttribute("aria-invalid");
  }
}
