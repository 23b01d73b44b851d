// Keeps the page up to date: the server sends the parts that have changed, as HTML that it has escaped.
import { showLast, watchCharts } from "./charts.js";
import { byId } from "./dom.js";
import { keepSheet, watchSheets } from "./sheets.js";

const main = /** @type {HTMLElement} */ (document.querySelector("main"));
const connection = byId("connection");
const spoken = byId("spoken");
const sent = new Map([...main.querySelectorAll("[data-live]")].map((part) => [part.id, part.cloneNode(true)]));
/** @type {EventSource|null} */
let source = null;

/** @param {string} html one element */
function parsed(html) {
  return /** @type {Element} */ (new DOMParser().parseFromString(html, "text/html").body.firstElementChild);
}

/** @param {Element} part */
function newestSentence(part) {
  return part.querySelector(".conditions li")?.textContent ?? "";
}

/** What a person has ticked, opened or focused stays so. @param {Element} old @param {Element} part */
function keepChoices(old, part) {
  for (const box of old.querySelectorAll("input:checked")) {
    part.querySelector(`#${box.id}`)?.setAttribute("checked", "");
  }
  for (const details of old.querySelectorAll("details[open]")) {
    part.querySelector(`#${details.id}`)?.setAttribute("open", "");
  }
}

/** Puts a new part in the place of the old one. @param {Element} old @param {Element} part */
function replace(old, part) {
  const focused = old.contains(document.activeElement) ? document.activeElement?.id : "";
  keepChoices(old, part);
  if (newestSentence(part) !== newestSentence(old)) spoken.textContent = newestSentence(part);
  const chosen = keepSheet(old);
  old.replaceWith(part);
  watchSheets(part, chosen);
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

/** @param {MessageEvent} event */
function receive(event) {
  for (const [id, html] of /** @type {[string, string][]} */ (Object.entries(JSON.parse(event.data)))) {
    const part = parsed(html);
    const old = byId(id);
    if (!old) return location.reload(); // another kind of page: a run that could not be read before
    if (part.isEqualNode(sent.get(id) ?? null)) continue; // the page was loaded with it
    sent.set(id, part.cloneNode(true));
    replace(old, part);
  }
  showLast();
}

function connect() {
  if (source || !main.dataset.events) return;
  source = new EventSource(main.dataset.events);
  source.onmessage = receive;
  source.onopen = () => { connection.textContent = ""; };
  source.onerror = () => {
    connection.textContent ||= `No connection since ${new Date().toLocaleTimeString()}. The page goes on when drawwell watch runs again.`;
    if (source?.readyState === EventSource.CLOSED) setTimeout(() => { disconnect(); connect(); }, 3000);
  };
}

function disconnect() {
  source?.close();
  source = null;
}

// A browser opens at most six connections to a server: pages that nobody sees hold none.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));

watchCharts(main, spoken);
watchSheets(byId("sheets"), null);
connect();
