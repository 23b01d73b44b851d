// Small helpers for the document.

/**
 * The element with this id.
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. Text is set as text, never as markup.
 * @param {string} name
 * @param {Record<string, any>} properties
 * @param {...(Node|string)} children
 * @returns {any}
 */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/**
 * Call `action` once nothing has called for `milliseconds`.
 * @param {number} milliseconds
 * @param {() => void} action
 */
export function settled(milliseconds, action) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}

/** Wait. Throws once `signal` aborts. @param {number} milliseconds @param {AbortSignal} [signal] @returns {Promise<void>} */
export const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  signal?.throwIfAborted();
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});

/** Call `action` at most once for each frame of the screen. @param {() => void} action */
export function everyFrame(action) {
  let isAwaited = false;
  return () => {
    if (isAwaited) return;
    isAwaited = true;
    requestAnimationFrame(() => {
      isAwaited = false;
      action();
    });
  };
}

/**
 * Enlarge a picture by the largest whole factor with which it fits into `room`: every pixel becomes a square, and none is blurred.
 * @param {HTMLElement} shown
 * @param {{width: number, height: number}} pixels
 * @param {number} room
 */
export function enlarge(shown, { width, height }, room) {
  const factor = Math.max(1, Math.floor(room / Math.max(width, height)));
  Object.assign(shown.style, { width: `${factor * width}px`, height: `${factor * height}px` });
}

/**
 * A button that copies the text that `text` returns.
 * @param {HTMLButtonElement} button
 * @param {() => string} text
 */
export function copies(button, text) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed"; // the clipboard is closed to pages without TLS, and where a person forbids it
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
}

/**
 * Show a picture in an image, and free the one that it showed.
 * @param {HTMLImageElement} image
 * @param {Blob} png
 * @param {string} alt
 */
export function show(image, png, alt) {
  release(image);
  image.src = URL.createObjectURL(png);
  image.alt = alt;
}

/** Free the picture of an image. While the browser loads it, it stays: a URL that is freed too early is an error on the console. @param {HTMLImageElement} image */
export function release(image) {
  const url = image.src, free = () => URL.revokeObjectURL(url);
  if (!url.startsWith("blob:")) return;
  if (image.complete) free();
  else for (const event of ["load", "error"]) image.addEventListener(event, free, { once: true });
}

/**
 * Offer a file to save.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
