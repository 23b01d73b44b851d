// The page at `/`. Without JavaScript the HTML shows pictures, commands and the generator; with it these become views.

import { App } from "./app.js";
import { byId } from "./dom.js";
import { Directions } from "./directions.js";
import { Gallery } from "./gallery.js";
import { Judge } from "./judge.js";
import { forget, unlock } from "./key.js";
import { Mix } from "./mix.js";
import { PictureDialog } from "./picture.js";
import { Server } from "./server.js";
import { Walk } from "./walk.js";

const server = new Server(null, (sentence) => (byId("status") ?? byId("key-error")).textContent = sentence);

async function start() {
  try {
    run(await server.model());
  } catch (error) {
    byId("notice").textContent = /** @type {Error} */ (error).message;
  }
}

/** @param {any} model the reply of `GET /model` */
function run(model) {
  const app = new App(server, model), hasClasses = app.classes.length > 0;
  app.judge = model.judge ? new Judge(app) : null;
  history.scrollRestoration = "manual"; // the URL names the first row
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-classes], a[data-view=mix]"))) part.hidden = !hasClasses;
  /** @type {HTMLElement} */ (document.querySelector("a[data-view=judge]")).hidden = !app.judge;
  byId("forget").hidden = server.key === null;
  byId("forget").addEventListener("click", forget);
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault(); // the fragment says what is shown
    byId("content").focus();
  });
  /** @type {HTMLElement} */ (document.querySelector("nav")).hidden = false;
  const still = { show: () => app.say("") };
  app.views = { gallery: new Gallery(app), walk: new Walk(app), directions: new Directions(app), mix: hasClasses ? new Mix(app) : still, judge: app.judge ?? still, generator: still, use: still };
  app.dialogs = [new PictureDialog(app)];
  app.read();
}

if (byId("key-form")) unlock(server, start);
else start();
