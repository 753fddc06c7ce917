// The soft brush: strokes on a 28 x 28 sheet held as a Float32Array(784), row by row, 0 = paper, 1 = ink.

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;

const CORE_RADIUS = 0.75; // cells: full ink up to here, so the cell under the pen is always fully painted
const EDGE_RADIUS = 1.9; // cells: no ink from here on

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
function inkAt(distance) {
  if (distance <= CORE_RADIUS) return 1;
  if (distance >= EDGE_RADIUS) return 0;
  return (EDGE_RADIUS - distance) / (EDGE_RADIUS - CORE_RADIUS);
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

function cellRange(first, second) {
  return [
    Math.max(0, Math.floor(Math.min(first, second) - EDGE_RADIUS)),
    Math.min(SIDE - 1, Math.ceil(Math.max(first, second) + EDGE_RADIUS)),
  ];
}

/**
 * Ink the segment from `a` to `b` (cells; a dot where they are equal) into `pixels`, in place.
 * Each cell is inked by its distance to the whole segment, so no speed of the pen can leave a gap.
 */
export function strokeSegment(pixels, a, b) {
  const [left, right] = cellRange(a.x, b.x);
  const [top, bottom] = cellRange(a.y, b.y);
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      const ink = inkAt(distanceToSegment(column + 0.5, row + 0.5, a, b));
      const cell = row * SIDE + column;
      if (ink > pixels[cell]) pixels[cell] = ink;
    }
  }
}
