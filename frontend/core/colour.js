// Colours for numbers that are above or below zero.

const STEPS = 255; // odd, so that zero has a colour of its own
const MIDDLE = (STEPS - 1) / 2;

/** "#1d2f9c" as [29, 47, 156]. Throws where it is no such colour. */
export function parseHex(text) {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text.trim());
  if (found === null) throw new Error(`${text} is no colour like #1d2f9c`);
  return found.slice(1).map((part) => parseInt(part, 16));
}

/**
 * A table of colours from `stops` (a list of [r, g, b], evenly spaced from -1 to 1), as the pixels of a canvas hold them.
 * `strength` 1 is the colours themselves, 0 that of zero alone.
 */
export function createPalette(stops, strength = 1) {
  const zero = stops[(stops.length - 1) / 2];
  const bytes = new Uint8ClampedArray(STEPS * 4);
  for (let step = 0; step < STEPS; step += 1) {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const from = Math.min(Math.floor(place), stops.length - 2);
    const colour = blend(stops[from], stops[from + 1], place - from);
    bytes.set([...blend(zero, colour, strength), 255], step * 4);
  }
  return new Uint32Array(bytes.buffer); // in the byte order of this machine, as the canvas is
}

export function blend(from, to, share) {
  return from.map((value, k) => value + (to[k] - value) * share);
}

/** What to multiply numbers by before stepAt, if the ends of a palette are -range and range. */
export const scaleFor = (range) => MIDDLE / range;

/** Where in a palette a number stands, given times its scale; what is no number stands at zero. */
export function stepAt(scaled) {
  const step = scaled + MIDDLE + 0.5;
  if (step >= 0 && step < STEPS) return step | 0;
  if (scaled > 0) return STEPS - 1;
  return scaled < 0 ? 0 : MIDDLE;
}
