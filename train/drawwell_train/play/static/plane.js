// Draws the unit square: a surface as a heat map, and points or a path above it. The style sheet gives the colours.

const CELLS = 64;
const TINT = 0.42;
const small = document.createElement("canvas");
small.width = small.height = CELLS;

/** A colour of the style sheet as red, green and blue. */
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

function drawSurface(context, encoded) {
  const values = atob(encoded);
  const colours = palette();
  const image = new ImageData(CELLS, CELLS);
  for (let cell = 0; cell < values.length; cell += 1) {
    const row = CELLS - 1 - Math.floor(cell / CELLS);
    const place = 4 * (row * CELLS + (cell % CELLS));
    image.data.set([...colours[values.charCodeAt(cell)], 255], place);
  }
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
}

/** Data are discs, drawn points are diamonds: the colours are not the only difference. */
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
      [[left, top - size], [left + size, top], [left, top + size]].forEach((corner) => context.lineTo(...corner));
      context.closePath();
    } else context.arc(left, top, size * 0.8, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

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

/** A frame onto a canvas, over the surface of D or of the best D. */
export function drawPlane(canvas, surface, frame, isPath) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  drawSurface(context, surface);
  drawPoints(context, frame.real, "--real", isPath ? 10 : 5);
  if (isPath) drawPath(context, frame.drawn);
  else drawPoints(context, frame.drawn, "--drawn", 5);
}
