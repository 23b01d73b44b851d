// The server's routes, as functions.

import { pause } from "./dom.js";
import { untar } from "./tar.js";

const TRIES = 5;
export const MOST_PICTURES = 256; // of one JSON reply

/** @typedef {{index: bigint, label: number|null, png: Blob}} Picture */
/** @typedef {{latents: number[], label: number|null, member: number|null, directions: number[][]}} Latents */
/** @typedef {{seed: bigint, label: number|null, spread: number}} Choice */

export class ServerError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Server {
  /**
   * @param {string|null} key
   * @param {(sentence: string) => void} say shows a person what the server makes them wait for
   */
  constructor(key, say) {
    this.key = key;
    this.say = say;
    this.digest = "";
  }

  /** Ask, and ask again while the server is busy. @param {string} path @param {RequestInit} init */
  async fetch(path, init = {}) {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("Authorization", `Bearer ${this.key}`);
    for (let left = TRIES; ; left--) {
      const reply = await reach(path, { ...init, headers });
      if (reply.ok) return reply;
      const seconds = Number(reply.headers.get("Retry-After")), { code, message } = await problem(reply);
      if (reply.status === 401 && this.key) throw new ServerError(401, "The server does not take this key.");
      if (!left || !seconds || code === "judge_failed") throw new ServerError(reply.status, message);
      this.say(`The server is busy. Asking again in ${seconds} s.`);
      await pause(1000 * seconds, init.signal ?? undefined);
    }
  }

  /** The page as a document. */
  async page() {
    const reply = await this.fetch("./", { headers: { Accept: "text/html" }, cache: "no-store" });
    return new DOMParser().parseFromString(await reply.text(), "text/html");
  }

  /** The digest, the card, and the most images of one reply. */
  async model() {
    const model = await (await this.fetch("model")).json();
    this.digest = model.digest;
    return model;
  }

  /** The inputs of the generator at an address, and the directions that change its picture most. @param {bigint} seed @param {bigint} index @returns {Promise<Latents>} */
  async latents(seed, index) {
    return await (await this.fetch(`latents/${this.digest}/${seed}/${index}.json`)).json();
  }

  /** What the discriminator says of a picture. @param {File} picture */
  async judge(picture) {
    const body = new FormData();
    body.append("picture", picture);
    return await (await this.fetch("judge", { method: "POST", body })).json();
  }

  /**
   * Pictures of consecutive addresses. With labels of their own they come from an immutable URL, which the browser keeps.
   * @param {Choice} choice
   * @param {bigint} first
   * @param {number} count
   * @param {AbortSignal} [signal]
   * @returns {Promise<Picture[]>}
   */
  async draw(choice, first, count, signal) {
    const indices = Array.from({ length: count }, (_, place) => first + BigInt(place));
    if (choice.label !== null || choice.spread !== 1) {
      return await this.generate({ seed: choice.seed, start: first, count, ...chosen(choice) }, indices, signal);
    }
    const path = `shards/${this.digest}/${choice.seed}/${first}-${indices[count - 1]}.tar`;
    const files = untar(await (await this.fetch(path, { signal })).arrayBuffer());
    return indices.map((index) => {
      const png = files.get(`${choice.seed}-${index}.png`), label = files.get(`${choice.seed}-${index}.cls`);
      if (!png) throw new Error("The server sent other pictures.");
      return { index, label: label ? Number(new TextDecoder().decode(label)) : null, png: new Blob([png], { type: "image/png" }) };
    });
  }

  /**
   * The pictures of a `POST /generate`; `indices` are theirs, which JSON would round from 2^53 on.
   * @param {Record<string, any>} fields
   * @param {bigint[]} indices
   * @param {AbortSignal} [signal]
   * @returns {Promise<Picture[]>}
   */
  async generate(fields, indices, signal) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const reply = await this.fetch("generate", { method: "POST", headers, body: toJson(fields), signal });
    const { digest, images } = await reply.json();
    if (digest !== this.digest) throw new Error("The server draws from another generator now: reload the page.");
    return images.map((/** @type {any} */ image, /** @type {number} */ place) => ({
      index: indices[place], label: image.label ?? null, png: new Blob([bytes(image.png)], { type: "image/png" }),
    }));
  }
}

/** The fields of a request that say how its images are drawn. @param {{label: number|null, spread: number}} choice */
export function chosen({ label, spread }) {
  return { ...(label === null ? {} : { labels: label }), ...(spread === 1 ? {} : { [spread < 1 ? "truncation" : "spread"]: spread }) };
}

/** JSON with BigInts as numbers. @param {any} value @returns {string} */
export function toJson(value) {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${toJson(one)}`).join(", ")}}`;
}

/** @param {string} path @param {RequestInit} init */
async function reach(path, init) {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ServerError(0, "The server does not answer.");
  }
}

/** What an error reply says. @param {Response} reply @returns {Promise<{code: string, message: string}>} */
async function problem(reply) {
  const text = await reply.text();
  try {
    const { code, message } = JSON.parse(text).error;
    return { code, message };
  } catch {
    return { code: "", message: `The server answered ${reply.status}.` }; // a proxy's own page
  }
}

/** @param {string} base64 */
const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
