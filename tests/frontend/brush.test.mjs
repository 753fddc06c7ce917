import assert from "node:assert/strict";
import test from "node:test";
import {
  PIXELS, SIDE, TIPS, blankSheet, eraseSegment, isBlank, isInside, pressed, strokeSegment,
} from "../../frontend/core/brush.js";

const inkAt = (pixels, column, row) => pixels[row * SIDE + column];

test("a dot inks the cell under the pen fully, wherever in the cell the pen is", () => {
  for (const offset of [0.01, 0.5, 0.99]) {
    const pixels = blankSheet();
    const point = { x: 5 + offset, y: 9 + offset };
    strokeSegment(pixels, point, point);
    assert.equal(inkAt(pixels, 5, 9), 1);
  }
});

test("the edge of a stroke is soft", () => {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 14.5, y: 14.5 }, { x: 14.5, y: 14.5 });
  const edge = inkAt(pixels, 16, 14);
  assert.equal(inkAt(pixels, 14, 14), 1);
  assert.ok(inkAt(pixels, 15, 14) > 0.5 && inkAt(pixels, 15, 14) < 1);
  assert.ok(edge === 0 || edge < inkAt(pixels, 15, 14));
  assert.equal(inkAt(pixels, 17, 14), 0);
});

test("a stroke across the sheet in one move leaves no gap, at any slope", () => {
  for (const end of [{ x: 27.5, y: 0.5 }, { x: 27.5, y: 27.5 }, { x: 27.5, y: 9.3 }, { x: 3, y: 27.5 }]) {
    const pixels = blankSheet();
    const start = { x: 0.5, y: 0.5 };
    strokeSegment(pixels, start, end);
    for (let t = 0; t <= 1; t += 0.005) {
      const column = Math.floor(start.x + t * (end.x - start.x));
      const row = Math.floor(start.y + t * (end.y - start.y));
      assert.equal(inkAt(pixels, column, row), 1, `cell ${column}, ${row} on the way to ${end.x}, ${end.y}`);
    }
  }
});

test("ink never fades and never passes 1", () => {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 3, y: 3 }, { x: 20, y: 11 });
  const before = pixels.slice();
  strokeSegment(pixels, { x: 20, y: 3 }, { x: 3, y: 11 });
  for (let cell = 0; cell < PIXELS; cell += 1) {
    assert.ok(pixels[cell] >= before[cell] && pixels[cell] <= 1);
  }
});

test("what lies beyond the sheet is cut off", () => {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 26, y: 14 }, { x: 300, y: 14 });
  assert.equal(pixels.length, PIXELS);
  assert.equal(inkAt(pixels, 27, 13), 1);
  assert.equal(inkAt(pixels, 0, 14), 0);
  strokeSegment(pixels, { x: -50, y: -50 }, { x: -40, y: -50 });
  assert.equal(inkAt(pixels, 0, 0), 0);
});

/** The ink of a dot in the middle of the sheet. */
function dot(tip) {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 14.5, y: 14.5 }, { x: 14.5, y: 14.5 }, tip);
  return pixels.reduce((sum, ink) => sum + ink, 0);
}

test("the thick tip leaves more ink than the thin one", () => {
  assert.ok(dot(TIPS.thick) > 1.5 * dot(TIPS.thin));
});

test("a pen that presses harder draws thicker, and one that cannot tell as the mouse does", () => {
  for (const tip of Object.values(TIPS)) {
    assert.deepEqual(pressed(tip, 0.5), tip);
    assert.ok(dot(pressed(tip, 0.05)) < dot(tip) && dot(tip) < dot(pressed(tip, 1)));
  }
});

test("however light the pressure, the cell under the pen is painted fully", () => {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 5.01, y: 9.99 }, { x: 5.01, y: 9.99 }, pressed(TIPS.thin, 0));
  assert.equal(inkAt(pixels, 5, 9), 1);
});

test("the eraser takes off all ink under it, softly at its edge, and none elsewhere", () => {
  const pixels = blankSheet().fill(1);
  eraseSegment(pixels, { x: 10.5, y: 10.5 }, { x: 18.5, y: 10.5 });
  for (let column = 10; column <= 18; column += 1) assert.equal(inkAt(pixels, column, 10), 0);
  assert.ok(inkAt(pixels, 14, 12) > 0 && inkAt(pixels, 14, 12) < 1);
  assert.equal(inkAt(pixels, 14, 14), 1);
  assert.equal(inkAt(pixels, 3, 10), 1);
});

test("the eraser never adds ink", () => {
  const pixels = blankSheet();
  pixels[10 * SIDE + 12] = 0.1;
  eraseSegment(pixels, { x: 10.5, y: 10.5 }, { x: 10.5, y: 10.5 });
  assert.ok(inkAt(pixels, 12, 10) <= Math.fround(0.1));
  assert.equal(pixels.filter((ink) => ink > 0).length <= 1, true);
});

test("a blank sheet is blank until something is drawn", () => {
  const pixels = blankSheet();
  assert.ok(isBlank(pixels));
  strokeSegment(pixels, { x: 1, y: 1 }, { x: 1, y: 1 });
  assert.ok(!isBlank(pixels));
});

test("the sheet ends before 28", () => {
  assert.ok(isInside({ x: 0, y: 27.99 }));
  assert.ok(!isInside({ x: 28, y: 5 }));
  assert.ok(!isInside({ x: 5, y: -0.01 }));
});
