// The drawing sheet: pointer events in, ink out. The canvas has one pixel for each cell; CSS enlarges it.

import { SIDE, blankSheet, isInside, strokeSegment } from "./core/brush.js";

/** `onStroke(pixels)` gets a new Float32Array(784) each time the drawing changed by the pen. */
export function createGrid(canvas, onStroke) {
  const context = canvas.getContext("2d");
  let pixels = blankSheet();
  let pen = null; // {id, point} while a stroke goes on

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
    };
  }

  function inkTo(point) {
    strokeSegment(pixels, pen.point, point);
    pen.point = point;
  }

  function changed() {
    paint(context, pixels);
    onStroke(pixels.slice());
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pen !== null || event.button !== 0) return;
    const point = pointOf(event);
    if (!isInside(point)) return; // the border of the canvas
    canvas.setPointerCapture(event.pointerId);
    pen = { id: event.pointerId, point };
    inkTo(point);
    changed();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (pen?.id !== event.pointerId) return;
    // A browser hands over a fast pen's way in one event a frame; the points between are in here.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length > 0 ? events : [event]) {
      const point = pointOf(each);
      inkTo(point);
      if (isInside(point)) continue;
      lift(event); // leaving the sheet ends the stroke
      break;
    }
    changed();
  });

  function lift(event) {
    if (pen?.id !== event.pointerId) return;
    pen = null;
    if (canvas.hasPointerCapture(event.pointerId)) canvas.releasePointerCapture(event.pointerId);
  }
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);

  return {
    /** Put another drawing on the sheet. */
    show(other) {
      if (other.every((value, cell) => value === pixels[cell])) return;
      pixels = other.slice();
      paint(context, pixels);
    },
  };
}

/** White ink, its strength in alpha: the page's colours decide what paper and ink look like. */
function paint(context, pixels) {
  const image = context.createImageData(SIDE, SIDE);
  pixels.forEach((ink, cell) => image.data.set([255, 255, 255, Math.round(ink * 255)], cell * 4));
  context.putImageData(image, 0, 0);
}
