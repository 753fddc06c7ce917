// Where on the sheet the network looked.

import { SIDE } from "./brush.js";

/**
 * How the network's input lies on the drawing that it was made from: {scale, left, top}. A point (x, y) of the input, in its
 * pixels, is at (left + x * scale, top + y * scale) of the drawing, in its cells. The input is the drawing moved and scaled,
 * so its centre of mass and its spread say how. Null where one of them is blank.
 */
export function placementOf(drawing, input) {
  const from = momentsOf(drawing);
  const to = momentsOf(input);
  if (from === null || to === null) return null;
  const scale = from.spread > 0 && to.spread > 0 ? from.spread / to.spread : 1;
  return { scale, left: from.x - to.x * scale, top: from.y - to.y * scale };
}

function momentsOf(pixels) {
  let [mass, x, y] = [0, 0, 0];
  pixels.forEach((ink, cell) => {
    mass += ink;
    x += ink * columnOf(cell);
    y += ink * rowOf(cell);
  });
  if (mass === 0) return null;
  [x, y] = [x / mass, y / mass];
  let square = 0;
  pixels.forEach((ink, cell) => (square += ink * ((columnOf(cell) - x) ** 2 + (rowOf(cell) - y) ** 2)));
  return { x, y, spread: Math.sqrt(square / mass) };
}

const columnOf = (cell) => (cell % SIDE) + 0.5; // the middle of the cell
const rowOf = (cell) => Math.floor(cell / SIDE) + 0.5;
