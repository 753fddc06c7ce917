// A picture of a digit, such as a photo of a note, as a drawing on the sheet.

import { PIXELS, SIDE, blankSheet } from "./brush.js";

const BOX_SIDE = 20; // cells: the longer side of the digit, as in the pictures that the network trains on
const STROKE = 2; // cells: a stroke thinner than this is made so thick
const LEVELS = 256;
const PAPER_IS_BRIGHT = 0.5; // mean brightness of the rim from which the picture is dark ink on light paper
const LEAST_CONTRAST = 0.1; // between ink and paper: below it there is nothing to see

/**
 * The picture, RGBA bytes row by row, as a Float32Array(784), or null where nothing in it stands out from its paper; dark
 * ink on light paper is turned round.
 * A picture of 28 x 28 is taken cell by cell; the ink in any other is scaled to a box of 20 x 20 in the middle of the sheet.
 */
export function sheetOf(rgba, width, height) {
  const ink = inkOf(rgba, width, height);
  if (width === SIDE && height === SIDE) return ink.some((value) => value > 0) ? ink : null;
  const clear = withContrast(ink);
  const box = clear && extent(clear, width, height);
  if (!box) return null;
  const cell = Math.max(box.width, box.height) / BOX_SIDE; // pixels
  const stroke = strokeWidth(crop(clear, width, height, box), box);
  const radius = Math.max(0, Math.floor((STROKE * cell - stroke) / 2));
  const room = grown(box, radius);
  const digit = thicken(crop(clear, width, height, room), room, radius);
  return placed(digit, room, BOX_SIDE / Math.max(room.width, room.height));
}

/** How far each pixel stands out from the paper, 0..1. */
function inkOf(rgba, width, height) {
  const bright = new Float32Array(width * height);
  for (let k = 0; k < bright.length; k += 1) {
    const grey = (0.299 * rgba[4 * k] + 0.587 * rgba[4 * k + 1] + 0.114 * rgba[4 * k + 2]) / 255;
    const opacity = rgba[4 * k + 3] / 255;
    bright[k] = grey * opacity + (1 - opacity); // on white where it is transparent
  }
  const rim = rimOf(bright, width, height);
  const darkOnLight = rim.reduce((sum, value) => sum + value, 0) / rim.length > PAPER_IS_BRIGHT;
  const paper = rim.sort((a, b) => a - b)[rim.length >> 1];
  return bright.map((value) => Math.max(0, darkOnLight ? paper - value : value - paper));
}

function rimOf(values, width, height) {
  const rim = [];
  for (let x = 0; x < width; x += 1) rim.push(values[x], values[(height - 1) * width + x]);
  for (let y = 0; y < height; y += 1) rim.push(values[y * width], values[y * width + width - 1]);
  return rim;
}

/** Paper as 0 and ink as 1, although neither is even in a photo; null where they are too much alike to be told apart. */
function withContrast(ink) {
  const [paper, full] = twoLevels(ink);
  if (full - paper < LEAST_CONTRAST) return null;
  const low = paper + 0.3 * (full - paper); // shadows and the grain of the paper
  return ink.map((value) => Math.min(1, Math.max(0, (value - low) / (full - low))));
}

/** The mean values of paper and ink, parted where their variance is the least (the threshold of Otsu). */
function twoLevels(ink) {
  const counts = new Float64Array(LEVELS);
  for (const value of ink) counts[Math.round(value * (LEVELS - 1))] += 1;
  const sum = counts.reduce((total, count, level) => total + count * level, 0);
  let [best, means, below, sumBelow] = [-1, [0, 0], 0, 0];
  for (let level = 0; level < LEVELS - 1; level += 1) {
    below += counts[level];
    sumBelow += counts[level] * level;
    const above = ink.length - below;
    if (below === 0 || above === 0) continue;
    const [low, high] = [sumBelow / below, (sum - sumBelow) / above];
    const between = below * above * (high - low) ** 2;
    if (between > best) [best, means] = [between, [low / (LEVELS - 1), high / (LEVELS - 1)]];
  }
  return means;
}

/** The rectangle that holds all the ink: {left, top, width, height} in pixels, or null. */
function extent(ink, width, height) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (ink[y * width + x] < 0.5) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function grown({ left, top, width, height }, by) {
  return { left: left - by, top: top - by, width: width + 2 * by, height: height + 2 * by };
}

/** The part of the picture in this rectangle; what lies beyond the picture is paper. */
function crop(ink, width, height, box) {
  const part = new Float32Array(box.width * box.height);
  const [first, last] = [Math.max(0, box.left), Math.min(width, box.left + box.width)];
  for (let y = Math.max(0, box.top); y < Math.min(height, box.top + box.height); y += 1) {
    part.set(ink.subarray(y * width + first, y * width + last), (y - box.top) * box.width + first - box.left);
  }
  return part;
}

/** About how thick the strokes are, in pixels: a line has twice its length as its rim. */
function strokeWidth(ink, { width, height }) {
  let [area, rim] = [0, 0];
  const on = (x, y) => x >= 0 && y >= 0 && x < width && y < height && ink[y * width + x] >= 0.5;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!on(x, y)) continue;
      area += 1;
      rim += !on(x - 1, y) + !on(x + 1, y) + !on(x, y - 1) + !on(x, y + 1);
    }
  }
  return (2 * area) / (rim * (Math.PI / 4)); // a slanting rim goes up and down in steps, and is that much shorter
}

/** The largest value within `radius` pixels, first along the rows and then along the columns. */
function thicken(ink, { width, height }, radius) {
  if (radius === 0) return ink;
  const wide = largest(ink, height, width, width, 1, radius);
  return largest(wide, width, height, 1, width, radius);
}

function largest(values, lines, length, lineStep, step, radius) {
  const result = new Float32Array(values.length);
  for (let line = 0; line < lines; line += 1) {
    for (let k = 0; k < length; k += 1) {
      let most = 0;
      const last = Math.min(length - 1, k + radius);
      for (let n = Math.max(0, k - radius); n <= last; n += 1) most = Math.max(most, values[line * lineStep + n * step]);
      result[line * lineStep + k * step] = most;
    }
  }
  return result;
}

/** The digit on the sheet: its box in the middle, each cell the mean of what lies below it. */
function placed(ink, { width, height }, scale) {
  const pixels = blankSheet();
  const left = SIDE / 2 - (width * scale) / 2;
  const top = SIDE / 2 - (height * scale) / 2;
  for (let cell = 0; cell < PIXELS; cell += 1) {
    const x = ((cell % SIDE) - left) / scale;
    const y = (Math.floor(cell / SIDE) - top) / scale;
    pixels[cell] = meanOf(ink, width, height, x, y, 1 / scale);
  }
  return pixels;
}

/** The mean over the square at (x, y) with this side, in pixels; what lies beyond the picture is paper. */
function meanOf(ink, width, height, x, y, side) {
  let sum = 0;
  for (let row = Math.max(0, Math.floor(y)); row < Math.min(height, y + side); row += 1) {
    const high = Math.min(row + 1, y + side) - Math.max(row, y);
    for (let column = Math.max(0, Math.floor(x)); column < Math.min(width, x + side); column += 1) {
      sum += ink[row * width + column] * high * (Math.min(column + 1, x + side) - Math.max(column, x));
    }
  }
  return sum / side ** 2;
}
