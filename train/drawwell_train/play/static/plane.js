// Draws the unit square: a surface as a heat map, and points or a path above it. The style sheet gives the colours.

/** @typedef {import("./frame.js").Plot} Plot */

const CELLS = 64;
const SIDE = 640; // pixels
const TINT = 0.42;
const small = document.createElement("canvas");
small.width = small.height = CELLS;

/** A colour of the style sheet as red, green and blue. @param {string} name */
function colour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
  return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

/** For each of 256 values from "drawn" over the middle to "data": its colour. */
function palette() {
  const [real, drawn, middle] = ["--real", "--drawn", "--middle"].map(colour);
  return Array.from({ length: 256 }, (_, value) => {
    const [side, part] = value < 128 ? [drawn, (127.5 - value) / 127.5] : [real, (value - 127.5) / 127.5];
    return middle.map((light, place) => light + (side[place] - light) * part * TINT);
  });
}

/** @param {CanvasRenderingContext2D} context @param {string} encoded bytes in base64 */
function drawSurface(context, encoded) {
  const values = atob(encoded);
  const colours = palette();
  const image = new ImageData(CELLS, CELLS);
  for (let cell = 0; cell < values.length; cell += 1) {
    const row = CELLS - 1 - Math.floor(cell / CELLS);
    const place = 4 * (row * CELLS + (cell % CELLS));
    image.data.set([...colours[values.charCodeAt(cell)], 255], place);
  }
  small.getContext("2d")?.putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
}

/**
 * Data are discs, drawn points are diamonds: the colours are not the only difference.
 * @param {CanvasRenderingContext2D} context
 * @param {number[][]} points
 * @param {string} name
 * @param {number} size
 */
function drawPoints(context, points, name, size) {
  const { width, height } = context.canvas;
  const turned = name === "--drawn";
  context.fillStyle = `rgb(${colour(name)})`;
  context.strokeStyle = `rgb(${colour("--middle")})`;
  for (const [x, y] of points) {
    context.beginPath();
    const [left, top] = [x * width, (1 - y) * height];
    if (turned) {
      context.moveTo(left - size, top);
      for (const [right, down] of [[left, top - size], [left + size, top], [left, top + size]]) context.lineTo(right, down);
      context.closePath();
    } else context.arc(left, top, size * 0.8, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number[][]} path */
function drawPath(context, path) {
  const { width, height } = context.canvas;
  context.strokeStyle = `rgb(${colour("--drawn")})`;
  context.lineWidth = 2.5;
  context.beginPath();
  path.forEach(([x, y], place) => context[place ? "lineTo" : "moveTo"](x * width, (1 - y) * height));
  context.stroke();
  context.lineWidth = 1;
  drawPoints(context, path.slice(-1), "--drawn", 12);
}

/**
 * Points onto a canvas, over the surface of D or of the best D.
 * @param {HTMLCanvasElement} canvas
 * @param {string} surface bytes in base64
 * @param {Plot} plot
 * @param {boolean} isPath
 */
export function drawPlane(canvas, surface, plot, isPath) {
  const context = canvas.getContext("2d");
  if (!context) return;
  canvas.width = canvas.height = SIDE; // this clears it
  drawSurface(context, surface);
  drawPoints(context, plot.real, "--real", isPath ? 10 : 5);
  if (isPath) drawPath(context, plot.drawn);
  else drawPoints(context, plot.drawn, "--drawn", 5);
}
