import assert from "node:assert/strict";
import test from "node:test";
import { PIXELS } from "../../frontend/core/brush.js";
import {
  HISTORY_LENGTH, createDrawing, curlLine, numbersOf, redo, replaceDrawing, undo,
} from "../../frontend/core/drawing.js";

/** A sheet with one cell inked. */
function sheet(cell, ink = 1) {
  const pixels = new Float32Array(PIXELS);
  pixels[cell] = ink;
  return pixels;
}
const drawn = (drawing, ...changes) => changes.reduce(replaceDrawing, drawing);
const inked = ({ pixels }) => [...pixels.keys()].filter((cell) => pixels[cell] > 0);

test("what replaces the sheet can be undone and done again, its label and its source with it", () => {
  const sample = { pixels: sheet(5), label: 7 };
  const picture = { pixels: sheet(9), source: "photo.png" };
  const twice = drawn(createDrawing(), sample, picture);
  const once = undo(twice);
  assert.deepEqual([inked(once), once.label, once.source], [[5], 7, null]);
  const none = undo(once);
  assert.deepEqual([none.blank, none.label], [true, null]);
  const again = redo(redo(none));
  assert.deepEqual([inked(again), again.label, again.source], [[9], null, "photo.png"]);
});

test("there is nothing before the first step and nothing after the last", () => {
  const drawing = createDrawing();
  assert.equal(undo(drawing), drawing);
  assert.equal(redo(drawing), drawing);
});

test("each change has a revision of its own, undoing as well", () => {
  const one = drawn(createDrawing(), { pixels: sheet(1) });
  assert.deepEqual([one, undo(one), redo(undo(one))].map(({ revision }) => revision), [1, 2, 3]);
});

test("all changes of one stroke are one step, and the next stroke is another", () => {
  const drawing = drawn(
    createDrawing(),
    { pixels: sheet(1), stroke: 1 },
    { pixels: sheet(2), stroke: 1 },
    { pixels: sheet(3), stroke: 1 },
    { pixels: sheet(4), stroke: 2 },
  );
  assert.deepEqual(inked(undo(drawing)), [3]);
  assert.equal(undo(undo(drawing)).blank, true);
});

test("a stroke that goes on after something else came between is a new step", () => {
  const stroke = (cell) => ({ pixels: sheet(cell), stroke: 1 });
  const loaded = drawn(createDrawing(), stroke(1), { pixels: sheet(8), label: 3 }, stroke(2));
  assert.deepEqual(inked(undo(loaded)), [8]);
  const undone = drawn(undo(drawn(createDrawing(), stroke(1))), stroke(2));
  assert.equal(undo(undone).blank, true);
});

test("what changes no pixel is no step, though it may change the label", () => {
  const cleared = drawn(createDrawing(), { pixels: new Float32Array(PIXELS) });
  assert.equal(cleared.past.length, 0);
  const named = drawn(createDrawing(), { pixels: sheet(1) }, { pixels: sheet(1), label: 4 });
  assert.deepEqual([named.past.length, named.label], [1, 4]);
});

test("drawing on forgets what was undone", () => {
  const back = undo(drawn(createDrawing(), { pixels: sheet(1) }));
  assert.equal(back.future.length, 1);
  assert.equal(drawn(back, { pixels: sheet(2) }).future.length, 0);
});

test("the history is bounded, and its oldest steps go first", () => {
  let drawing = createDrawing();
  for (let cell = 0; cell < HISTORY_LENGTH + 20; cell += 1) drawing = drawn(drawing, { pixels: sheet(cell) });
  assert.equal(drawing.past.length, HISTORY_LENGTH);
  for (let k = 0; k < HISTORY_LENGTH + 5; k += 1) drawing = undo(drawing);
  assert.deepEqual([inked(drawing), drawing.future.length], [[19], HISTORY_LENGTH]);
});

test("the numbers have four decimals", () => {
  assert.deepEqual(numbersOf([0, 0.123456, 1]), [0, 0.1235, 1]);
});

test("the line for a shell has one pair of quotes for each word and asks for what the page asks for", () => {
  const line = curlLine("http://inkling.test:8080", sheet(3, 0.25), { raw: false });
  assert.match(line, /^curl -s 'http:\/\/inkling\.test:8080\/infer\?normalize=true' -H '[^']+' -d '([^']+)'$/);
  const { image } = JSON.parse(/-d '(.+)'$/.exec(line)[1]);
  assert.deepEqual([image.length, image[3]], [PIXELS, 0.25]);
  assert.match(curlLine("http://a", sheet(3), { raw: true }), /'http:\/\/a\/infer'/);
});
