// The drawing sheet: pointer events in, ink out. The canvas has one pixel for each cell; CSS enlarges it.

import { SIDE, TIPS, blankSheet, eraseSegment, isInside, pressed, strokeSegment } from "./core/brush.js";

const PRIMARY_BUTTON = 0;
const ERASER_BUTTON = 5; // the other end of a pen

/**
 * `tool()` names the tip in use, one of TIPS; `onStroke(pixels, stroke)` gets a new Float32Array(784) each time the drawing
 * changed by hand, with the number of the stroke that changed it.
 */
export function createGrid(canvas, { tool, onStroke }) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  let pixels = blankSheet();
  let strokes = 0;

  /** Returns what the stroke is drawn with: each call lets `edit` change the pixels, and shows them at once. */
  function startStroke() {
    strokes += 1;
    const stroke = strokes;
    return (edit) => {
      const next = pixels.slice();
      edit(next);
      if (next.every((ink, cell) => ink === pixels[cell])) return;
      pixels = next;
      paint(context, image, pixels);
      onStroke(pixels, stroke);
    };
  }

  followPointer(canvas, { tool, startStroke, sheet: () => pixels });

  return {
    startStroke,
    /** Put another drawing on the sheet. */
    show(other) {
      if (other === pixels) return;
      pixels = other;
      paint(context, image, pixels);
    },
  };
}

/** One pen, mouse or finger at a time draws; a pen takes over from a finger, which is then the hand that holds it. */
function followPointer(canvas, { tool, startStroke, sheet }) {
  let pen = null; // {id, type, point, tool, change, before} while a stroke goes on

  function drawTo(event) {
    const box = canvas.getBoundingClientRect();
    // A browser hands over a fast pen's way in one event a frame; the points between are in here.
    const between = event.getCoalescedEvents?.() ?? [];
    pen.change((pixels) => {
      for (const each of between.length > 0 ? between : [event]) {
        const point = pointIn(box, each);
        mark(pixels, pen, point, each);
        pen.point = point;
        if (!isInside(point)) return;
      }
    });
    if (!isInside(pen.point)) lift(event); // leaving the sheet ends the stroke
  }

  // The finger's own gestures are off: a stroke that is lifted in full swing would count as a fling, in which the browser
  // takes the next tap, on Clear for one, for a stop and not for a click.
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== PRIMARY_BUTTON && event.button !== ERASER_BUTTON) return;
    const takesOver = pen?.type === "touch" && event.pointerType === "pen";
    if (pen !== null && !takesOver) return;
    const point = pointIn(canvas.getBoundingClientRect(), event);
    if (!isInside(point)) return; // the border of the canvas
    if (takesOver) takeBack();
    canvas.setPointerCapture(event.pointerId);
    pen = {
      id: event.pointerId,
      type: event.pointerType,
      point,
      tool: event.button === ERASER_BUTTON ? "eraser" : tool(),
      change: startStroke(),
      before: sheet(),
    };
    drawTo(event);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (pen?.id === event.pointerId) drawTo(event);
  });

  function takeBack() {
    const { before } = pen;
    pen.change((pixels) => pixels.set(before));
    lift({ pointerId: pen.id });
  }

  function lift({ pointerId }) {
    if (pen?.id !== pointerId) return;
    pen = null;
    if (canvas.hasPointerCapture(pointerId)) canvas.releasePointerCapture(pointerId);
  }
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, lift);
}

function pointIn(box, { clientX, clientY }) {
  return { x: ((clientX - box.left) / box.width) * SIDE, y: ((clientY - box.top) / box.height) * SIDE };
}

/** Draw on to `point`; only a pen's pressure is worth listening to: a mouse has none, and a finger's is guesswork. */
function mark(pixels, pen, point, { pressure }) {
  const tip = pen.type === "pen" ? pressed(TIPS[pen.tool], pressure) : TIPS[pen.tool];
  const segment = pen.tool === "eraser" ? eraseSegment : strokeSegment;
  segment(pixels, pen.point, point, tip);
}

/** White ink, its strength in alpha: the page's colours decide what paper and ink look like. */
function paint(context, image, pixels) {
  image.data.fill(255);
  pixels.forEach((ink, cell) => (image.data[cell * 4 + 3] = Math.round(ink * 255)));
  context.putImageData(image, 0, 0);
}

/** Show 784 numbers of 0..1 on any canvas of 28 x 28; blank where they are null. */
export function paintOn(canvas, pixels) {
  const context = canvas.getContext("2d");
  if (pixels === null) context.clearRect(0, 0, SIDE, SIDE);
  else paint(context, context.createImageData(SIDE, SIDE), pixels);
}
