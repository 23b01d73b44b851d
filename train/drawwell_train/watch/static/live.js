// Keeps the page up to date: the server sends the sections that have changed, as HTML that it has escaped.
import { showLast, watchCharts } from "./charts.js";
import { keepSheet, watchSheets } from "./sheets.js";

const main = document.querySelector("main");
const connection = document.getElementById("connection");
const spoken = document.getElementById("spoken");
const sent = new Map([...main.querySelectorAll("section")].map((section) => [section.id, section.cloneNode(true)]));
let source = null;

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
}

function newestSentence(section) {
  return section?.querySelector(".conditions li")?.textContent ?? "";
}

/** Puts a new section in the place of the old one. What a person has ticked, opened, chosen or focused stays so. */
function replace(old, section) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  for (const box of old.querySelectorAll("input:checked")) {
    section.querySelector(`#${box.id}`)?.setAttribute("checked", "");
  }
  if (old.querySelector("details")?.open) section.querySelector("details")?.setAttribute("open", "");
  if (newestSentence(section) !== newestSentence(old)) spoken.textContent = newestSentence(section);
  const chosen = keepSheet(old);
  old.replaceWith(section);
  watchSheets(section, chosen);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function connect() {
  if (source || !main.dataset.events) return;
  source = new EventSource(main.dataset.events);
  source.onmessage = (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const section = parsed(html);
      if (section.isEqualNode(sent.get(id))) continue; // the page was loaded with it
      sent.set(id, section.cloneNode(true));
      replace(document.getElementById(id), section);
    }
    showLast();
  };
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
watchSheets(document.getElementById("sheets"), null);
connect();
