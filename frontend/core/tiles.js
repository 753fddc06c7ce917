// The first layer as tiles: one small picture of its weights for each unit, painted into the pixels of one canvas.

import { PIXELS, SIDE } from "./brush.js";
import { scaleFor, stepAt } from "./colour.js";
import { votesOf } from "./explain.js";

export const PITCH = SIDE + 1; // from one tile to the next: a pixel of paper between them
export const TILES_PER_PAGE = 128; // work and page stay bounded, however many units there are

export const ORDERS = Object.freeze({
  number: "by number",
  strength: "strongest first",
  digit: "by the digit they speak for",
});

/** The largest absolute weight of each unit of a layer (inputs x outputs), infinities and the like left out. */
export function rangesOf({ inputs, outputs, matrix }) {
  const ranges = new Float32Array(outputs);
  for (let i = 0, at = 0; i < inputs; i += 1) {
    for (let j = 0; j < outputs; j += 1, at += 1) {
      const size = Math.abs(matrix[at]);
      if (size > ranges[j] && size < Infinity) ranges[j] = size;
    }
  }
  return ranges;
}

/** The smallest and the largest weight that comes in to one unit. */
export function extremesOf({ inputs, outputs, matrix }, unit) {
  let [low, high] = [Infinity, -Infinity];
  for (let at = unit; at < inputs * outputs; at += outputs) {
    if (matrix[at] < low) low = matrix[at];
    if (matrix[at] > high) high = matrix[at];
  }
  return { low, high };
}

/**
 * The units in the order that they are shown in. `strengths` says how much each does for the present drawing, or is null;
 * `favourites` is the digit that each speaks for most, with how much.
 */
export function orderUnits(mode, count, { strengths, favourites }) {
  const units = Array.from({ length: count }, (_, unit) => unit);
  if (mode === "strength" && strengths !== null) {
    return units.sort((a, b) => Math.abs(strengths[b]) - Math.abs(strengths[a]) || a - b);
  }
  if (mode === "digit") {
    const [at, by] = [(unit) => favourites[unit].digit, (unit) => favourites[unit].vote];
    return units.sort((a, b) => at(a) - at(b) || by(b) - by(a) || a - b);
  }
  return units;
}

/** For each unit of the first layer the digit that it speaks for most, and how much: a list of {digit, vote}. */
export function favouritesOf(network, outputs) {
  return Array.from({ length: network.layers[0].outputs }, (_, unit) => {
    const votes = votesOf(network, outputs, unit);
    const digit = votes.indexOf(Math.max(...votes));
    return { digit: Math.max(0, digit), vote: votes[digit] ?? 0 };
  });
}

/** Width and height in pixels of a canvas for `count` tiles in `columns`. */
export function sheetSize(count, columns) {
  return { width: columns * PITCH - 1, height: Math.ceil(count / columns) * PITCH - 1 };
}

/**
 * Paint `units` of a layer, row by row, into `target` (Uint32Array of sheetSize). `rangeOf(unit)` is the weight at the ends of the
 * palette; `paletteOf(unit)` a table of core/colour.js.
 */
export function paintTiles(target, { inputs, outputs, matrix }, units, { columns, rangeOf, paletteOf }) {
  const { width } = sheetSize(units.length, columns);
  const corners = units.map((_, place) => Math.floor(place / columns) * PITCH * width + (place % columns) * PITCH);
  const scales = Float64Array.from(units, (unit) => scaleFor(rangeOf(unit) || 1));
  const palettes = units.map(paletteOf);
  // Pixel by pixel, not tile by tile: so the weights are read in the order that they lie in, which is several times as fast.
  for (let pixel = 0; pixel < Math.min(inputs, PIXELS); pixel += 1) {
    const offset = Math.floor(pixel / SIDE) * width + (pixel % SIDE);
    const row = pixel * outputs;
    for (let place = 0; place < units.length; place += 1) {
      target[corners[place] + offset] = palettes[place][stepAt(matrix[row + units[place]] * scales[place])];
    }
  }
}

/** The place that an arrow key leads to from `place` among `count` in `columns`; the same where there is none. */
export function neighbour(place, key, count, columns) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const next = place + (steps[key] ?? 0);
  return next >= 0 && next < count ? next : place;
}
