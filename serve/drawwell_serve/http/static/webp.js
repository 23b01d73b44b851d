// An animated WebP of still pictures (the container of https://developers.google.com/speed/webp/docs/riff_container).

const ANIMATION = 0x02, ALPHA = 0x10, NO_BLENDING = 0x02;

/** Whether this browser writes WebP: Safari does not. */
export const writesWebp = () => document.createElement("canvas").toDataURL("image/webp").startsWith("data:image/webp");

/**
 * @param {Blob[]} pngs
 * @param {number} factor pixels become squares of this side
 * @param {number} milliseconds of each picture
 */
export async function animate(pngs, factor, milliseconds) {
  const stills = [];
  for (const png of pngs) stills.push(await still(png, factor));
  const { width, height } = stills[0];
  const size = [...little(width - 1, 3), ...little(height - 1, 3)];
  const frames = stills.map(({ image }) =>
    chunk("ANMF", [0, 0, 0, 0, 0, 0, ...size, ...little(milliseconds, 3), NO_BLENDING], image));
  const alpha = stills.some(({ hasAlpha }) => hasAlpha) ? ALPHA : 0;
  const content = [chunk("VP8X", [ANIMATION | alpha, 0, 0, 0, ...size]), chunk("ANIM", [0, 0, 0, 0, 0, 0]), ...frames];
  const file = chunk("RIFF", [...new TextEncoder().encode("WEBP")], ...content);
  return new Blob([file], { type: "image/webp" });
}

/** One picture, enlarged without blur, as the image chunks of a WebP. @param {Blob} png @param {number} factor */
async function still(png, factor) {
  const bitmap = await createImageBitmap(png), canvas = document.createElement("canvas");
  const width = (canvas.width = factor * bitmap.width), height = (canvas.height = factor * bitmap.height);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  const webp = /** @type {Blob|null} */ (await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 1)));
  if (!webp) throw new Error("The picture is too large for this browser to write.");
  const image = imageChunks(new Uint8Array(await webp.arrayBuffer()));
  return { width, height, image, hasAlpha: includes(image, "ALPH") };
}

/** The chunks of a still WebP that hold its pixels. @param {Uint8Array} webp */
function imageChunks(webp) {
  const kept = [], view = new DataView(webp.buffer);
  for (let place = 12; place < webp.length; ) {
    const length = view.getUint32(place + 4, true), end = place + 8 + length + (length & 1);
    if (/^(VP8 |VP8L|ALPH)$/.test(String.fromCharCode(...webp.subarray(place, place + 4)))) kept.push(webp.subarray(place, end));
    place = end;
  }
  return joined(kept);
}

/** @param {Uint8Array} image @param {string} name */
const includes = (image, name) => String.fromCharCode(...image.subarray(0, 4)) === name;

/** @param {string} name @param {number[]} head @param {...Uint8Array} rest */
function chunk(name, head, ...rest) {
  const length = head.length + rest.reduce((sum, part) => sum + part.length, 0);
  return joined([new TextEncoder().encode(name), Uint8Array.from([...little(length, 4), ...head]), ...rest, new Uint8Array(length & 1)]);
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

/** @param {number} number @param {number} count of bytes */
const little = (number, count) => Array.from({ length: count }, (_, place) => (number >>> (8 * place)) & 255);
