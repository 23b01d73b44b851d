// Draws a sheet of images, pixel by pixel.

/** @type {WeakMap<HTMLCanvasElement, string>} */
const newest = new WeakMap();

/** The canvas shows something else, even if a sheet is still being decoded. @param {HTMLCanvasElement} canvas */
export const forgetSheet = (canvas) => newest.delete(canvas);

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} encoded a PNG in base64
 */
export async function drawSheet(canvas, encoded) {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  newest.set(canvas, encoded);
  const sheet = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  if (newest.get(canvas) !== encoded) return; // a newer one came while this one was decoded
  [canvas.width, canvas.height] = [sheet.width, sheet.height];
  canvas.getContext("2d")?.drawImage(sheet, 0, 0);
}
