// The key of the server, kept in this tab only.

import { byId } from "./dom.js";
import { ServerError } from "./server.js";

const NAME = `drawwell key ${location.pathname}`; // servers behind one proxy have keys of their own

/** Forget the key and show the form again. */
export function forget() {
  sessionStorage.removeItem(NAME);
  location.reload();
}

/**
 * Ask for the key until the server takes it, then show the page.
 * @param {import("./server.js").Server} server
 * @param {() => void} start
 */
export async function unlock(server, start) {
  const form = byId("key-form"), field = byId("key"), error = byId("key-error");
  /** @param {string} key */
  const open = async (key) => {
    error.textContent = await refusal(server, key);
    if (error.textContent) return false;
    sessionStorage.setItem(NAME, key);
    const page = await server.page();
    document.title = page.title;
    document.body.replaceWith(document.adoptNode(page.body));
    start();
    return true;
  };
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!(await open(field.value.trim()))) field.select();
  });
  const kept = sessionStorage.getItem(NAME);
  if (kept && (await open(kept))) return;
  sessionStorage.removeItem(NAME);
  form.hidden = false;
  field.focus();
}

/** Why the server does not take the key; empty if it does. @param {import("./server.js").Server} server @param {string} key */
async function refusal(server, key) {
  if (!/^[!-~]+$/.test(key)) return "A key has no spaces, and only letters, digits and signs of ASCII.";
  server.key = key;
  try {
    await server.model();
    return "";
  } catch (error) {
    return error instanceof ServerError && error.status === 401 ? "The key is wrong." : /** @type {Error} */ (error).message;
  }
}
