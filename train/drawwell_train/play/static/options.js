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
    this.send = send;
    /** @type {Frame["options"]} those of the training */
    this.known = {};
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (/** @type {any} */ event) => this.change(event.target));
  }

  /** Send what a person chose. What was refused before is tried again with it, and left out if it still cannot be. @param {Field} field */
  async change(field) {
    const before = this.fields.filter((one) => one !== field && one.hasAttribute("aria-invalid"));
    let sentence = await this.send({ do: "options", options: this.read([]) });
    if (!sentence) return this.forget();
    if (before.length) sentence = await this.send({ do: "options", options: this.read(before) });
    field.toggleAttribute("aria-invalid", Boolean(sentence));
    if (!sentence) return;
    field.setAttribute("aria-invalid", "true");
    field.parentElement?.append(this.problem);
    this.problem.textContent = sentence;
  }

  get fields() {
    return /** @type {Field[]} */ ([...this.form.elements]);
  }

  /** What the fields hold, and for `others` what the training has. A field that holds no number is sent as it is, so that the answer names it. @param {Field[]} others */
  read(others) {
    const value = (/** @type {Field} */ field) => (field.dataset.kind === "number" && field.value.trim() !== "" ? Number(field.value) : field.value);
    return Object.fromEntries(this.fields.map((field) => [field.name, others.includes(field) ? this.known[field.name] : value(field)]));
  }

  /** Shows the options of the training, but not over what a person types, or what was refused. @param {Frame["options"]} options */
  show(options) {
    this.known = options;
    for (const field of this.fields) {
      field.disabled = field.name === "preset" ? options.data !== "images" : options.data === "product" && NEVER.includes(field.name);
      if (!field.hasAttribute("aria-invalid") && field !== document.activeElement) field.value = options[field.name];
    }
  }

  forget() {
    this.problem.textContent = "";
    for (const field of this.fields) field.removeAttribute("aria-invalid");
  }
}
