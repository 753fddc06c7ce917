// The drawing and its history: what is on the sheet, how it came there, and the way back.

import { blankSheet, isBlank } from "./brush.js";

export const HISTORY_LENGTH = 100; // steps that can be undone, 3 kB each

/**
 * `pixels` is a Float32Array(784) that nobody changes in place; `revision` grows with each change of the sheet; `label` is
 * that of a loaded sample and `source` the words for what was loaded, both null for what was drawn by hand.
 * `past` and `future` hold {pixels, label, source}, the step that is undone or redone next at the end of each.
 */
export function createDrawing() {
  const sheet = { pixels: blankSheet(), label: null, source: null };
  return { ...sheet, blank: true, revision: 0, stroke: null, past: [], future: [] };
}

/**
 * Put something else on the sheet; it can be undone. Changes of the same `stroke`, one after the other, are one step;
 * what changes no pixel is none.
 */
export function replaceDrawing(drawing, { pixels, label = null, source = null, stroke = null }) {
  const next = shown(drawing, { pixels, label, source });
  if (stroke !== null && stroke === drawing.stroke) return next;
  if (pixels.every((ink, cell) => ink === drawing.pixels[cell])) return next;
  return { ...next, stroke, past: [...drawing.past, step(drawing)].slice(-HISTORY_LENGTH), future: [] };
}

export function undo(drawing) {
  if (drawing.past.length === 0) return drawing;
  const back = shown(drawing, drawing.past.at(-1));
  return { ...back, stroke: null, past: drawing.past.slice(0, -1), future: [...drawing.future, step(drawing)] };
}

export function redo(drawing) {
  if (drawing.future.length === 0) return drawing;
  const again = shown(drawing, drawing.future.at(-1));
  return { ...again, stroke: null, past: [...drawing.past, step(drawing)], future: drawing.future.slice(0, -1) };
}

const step = ({ pixels, label, source }) => ({ pixels, label, source });

function shown(drawing, { pixels, label, source }) {
  return { ...drawing, pixels, label, source, blank: isBlank(pixels), revision: drawing.revision + 1 };
}

/** The drawing as plain numbers with four decimals: a finer shade of ink is not drawn, and the text is half as long. */
export function numbersOf(pixels) {
  return Array.from(pixels, (ink) => Math.round(ink * 1e4) / 1e4);
}

/** A line for a shell that asks the server at `origin` to read this drawing. */
export function curlLine(origin, pixels, { raw }) {
  const query = raw ? "" : "?normalize=true";
  const body = JSON.stringify({ image: numbersOf(pixels) });
  return `curl -s '${origin}/infer${query}' -H 'Content-Type: application/json' -d '${body}'`;
}
