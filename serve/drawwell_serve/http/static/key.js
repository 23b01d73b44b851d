// The key of the server, kept in this tab only.

import { byId } from "./dom.js";

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
    const page = await unlocked(server, key).catch((/** @type {Error} */ refused) => void (error.textContent = refused.message));
    if (!page) return false;
    sessionStorage.setItem(NAME, key);
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
  field.value = kept ?? ""; // the server may be starting: a person need not write the key again
  form.hidden = false;
  field.focus();
}

/** The page that a key opens. Throws a sentence if the server does not take the key. @param {import("./server.js").Server} server @param {string} key */
async function unlocked(server, key) {
  if (!/^[!-~]+$/.test(key)) throw new Error("A key has no spaces, and only letters, digits and signs of ASCII.");
  server.key = key;
  return await server.page();
}
