// The types of what the training tells.

/**
 * The unit square: points, and surfaces of bytes in base64.
 * @typedef {{real: number[][], drawn: number[][], surface: string, best: string}} Plot
 */

/**
 * Sheets of images, as PNG in base64.
 * @typedef {{real: string, drawn: string}} Sheets
 */

/**
 * The state of the training, complete in itself. One of `plot` and `sheets` is null.
 * @typedef {object} Frame
 * @property {boolean} running
 * @property {number} step
 * @property {number|null} pace
 * @property {Record<string, any>} options
 * @property {string|null} lesson
 * @property {boolean} ended
 * @property {string} sentence
 * @property {string[]} conditions
 * @property {boolean} probabilities
 * @property {Record<string, any>} numbers a number each, or null for one that is not finite
 * @property {Plot|null} plot
 * @property {Sheets|null} sheets
 * @property {string} curves HTML
 */

export {};
