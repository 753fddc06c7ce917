// The soft brush: strokes on a 28 x 28 sheet held as a Float32Array(784), row by row, 0 = paper, 1 = ink.

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;

/** The size of a tip in cells: full ink up to `core` from the middle of the stroke, none from `edge` on. */
export const TIPS = Object.freeze({
  thin: Object.freeze({ core: 0.75, edge: 1.9 }),
  thick: Object.freeze({ core: 1.35, edge: 2.6 }),
  eraser: Object.freeze({ core: 1.6, edge: 2.3 }),
});

const LEAST_CORE = 0.71; // half a cell's diagonal: the cell under the pen is always fully painted
const LIGHTEST = 0.55; // the width of a stroke at no pressure, as a share of its width at the usual one
const USUAL_PRESSURE = 0.5; // what a pen that cannot tell reports, by the standard

/** The tip as a pen presses it: `pressure` is 0..1, and 0.5 leaves it as it is. */
export function pressed(tip, pressure) {
  const width = LIGHTEST + (1 - LIGHTEST) * (pressure / USUAL_PRESSURE);
  const core = Math.max(LEAST_CORE, tip.core * width);
  return { core, edge: Math.max(core + 0.5, tip.edge * width) };
}

export function blankSheet() {
  return new Float32Array(PIXELS);
}

export function isBlank(pixels) {
  return pixels.every((value) => value === 0);
}

export function isInside(point) {
  return point.x >= 0 && point.x < SIDE && point.y >= 0 && point.y < SIDE;
}

/** Ink at `distance` cells from the middle of the stroke, 0..1. */
function inkAt(distance, { core, edge }) {
  if (distance <= core) return 1;
  if (distance >= edge) return 0;
  return (edge - distance) / (edge - core);
}

/** Distance from (x, y) to the segment from `a` to `b`, in cells. */
function distanceToSegment(x, y, a, b) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const lengthSquared = dx * dx + dy * dy;
  const along = lengthSquared === 0 ? 0 : ((x - a.x) * dx + (y - a.y) * dy) / lengthSquared;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - a.x - t * dx, y - a.y - t * dy);
}

function cellRange(first, second, reach) {
  return [
    Math.max(0, Math.floor(Math.min(first, second) - reach)),
    Math.min(SIDE - 1, Math.ceil(Math.max(first, second) + reach)),
  ];
}

/** Call `mark(cell, ink)` for each cell that the segment from `a` to `b` (cells; a dot where they are equal) touches. */
function alongSegment(a, b, tip, mark) {
  const [left, right] = cellRange(a.x, b.x, tip.edge);
  const [top, bottom] = cellRange(a.y, b.y, tip.edge);
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      mark(row * SIDE + column, inkAt(distanceToSegment(column + 0.5, row + 0.5, a, b), tip));
    }
  }
}

/**
 * Ink the segment from `a` to `b` into `pixels`, in place.
 * Each cell is inked by its distance to the whole segment, so no speed of the pen can leave a gap.
 */
export function strokeSegment(pixels, a, b, tip = TIPS.thin) {
  alongSegment(a, b, tip, (cell, ink) => {
    if (ink > pixels[cell]) pixels[cell] = ink;
  });
}

/** Take the ink off along the segment from `a` to `b`, in place; the edge of what is left is soft, too. */
export function eraseSegment(pixels, a, b, tip = TIPS.eraser) {
  alongSegment(a, b, tip, (cell, ink) => {
    if (1 - ink < pixels[cell]) pixels[cell] = 1 - ink;
  });
}
