import assert from "node:assert/strict";
import test from "node:test";
import { PIXELS, SIDE } from "../../frontend/core/brush.js";
import { sheetOf } from "../../frontend/core/picture.js";

/** RGBA bytes of a picture whose grey at (x, y) is `grey(x, y)`, 0..255. */
function picture(width, height, grey, opacity = () => 255) {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const value = grey(x, y);
      rgba.set([value, value, value, opacity(x, y)], 4 * (y * width + x));
    }
  }
  return rgba;
}

/** Where there is ink: {left, right, top, bottom} in cells, and the means of both coordinates. */
function place(pixels) {
  const cells = [...pixels.keys()].filter((cell) => pixels[cell] > 0.2);
  const columns = cells.map((cell) => cell % SIDE);
  const rows = cells.map((cell) => Math.floor(cell / SIDE));
  return { left: Math.min(...columns), right: Math.max(...columns), top: Math.min(...rows), bottom: Math.max(...rows) };
}

const bar = (x, y) => x >= 110 && x < 140 && y >= 20 && y < 180; // 30 x 160 pixels, upright
const strip = (from, to) => (x, y) => (bar(x, y) ? from : to);
const MIDDLE = { left: 12, right: 15, top: 4, bottom: 23 }; // the bar in a box of 20 x 20 in the middle

test("dark ink on light paper and light ink on dark become the same drawing, in the middle and 20 cells high", () => {
  const dark = sheetOf(picture(200, 240, strip(0, 255)), 200, 240);
  const light = sheetOf(picture(200, 240, strip(255, 0)), 200, 240);
  assert.deepEqual(place(dark), MIDDLE);
  assert.deepEqual(dark, light);
  assert.equal(dark[14 * SIDE + 13], 1);
  assert.equal(dark[0], 0);
});

test("grey ink on grey paper that is darker on one side becomes ink on clean paper", () => {
  const gate = (x, y) => y >= 20 && y < 180 && ((x >= 20 && x < 50) || (x >= 150 && x < 180));
  const shadow = (x) => 210 - x * 0.25;
  const pixels = sheetOf(picture(200, 240, (x, y) => shadow(x) - (gate(x, y) ? 110 : 0)), 200, 240);
  assert.deepEqual(place(pixels), { left: 4, right: 23, top: 4, bottom: 23 });
  assert.ok(pixels[14 * SIDE + 5] > 0.7 && pixels[14 * SIDE + 22] > 0.7);
  assert.deepEqual([...pixels.slice(14 * SIDE + 8, 14 * SIDE + 20)], Array(12).fill(0));
});

test("a thin pen's line becomes as thick as a drawn one", () => {
  const thin = (x, y) => (x === 100 && y >= 20 && y < 220 ? 0 : 255);
  const pixels = sheetOf(picture(200, 240, thin), 200, 240);
  const row = [...pixels.slice(14 * SIDE, 15 * SIDE)];
  const ink = row.reduce((sum, value) => sum + value, 0);
  assert.ok(ink > 1.2 && ink < 2.5, `${ink} cells wide`);
  assert.ok(Math.max(...row) > 0.6);
});

test("a picture of 28 x 28 is taken cell by cell", () => {
  const pixels = sheetOf(picture(SIDE, SIDE, (x, y) => (x === 3 && y === 7 ? 51 : 255)), SIDE, SIDE);
  assert.equal(pixels.length, PIXELS);
  assert.deepEqual([...pixels.keys()].filter((cell) => pixels[cell] > 0), [7 * SIDE + 3]);
  assert.ok(Math.abs(pixels[7 * SIDE + 3] - 0.8) < 1e-6);
});

test("what is transparent is paper", () => {
  const pixels = sheetOf(picture(200, 240, () => 0, (x, y) => (bar(x, y) ? 255 : 0)), 200, 240);
  assert.deepEqual(place(pixels), MIDDLE);
});

test("a picture with nothing on it is no drawing", () => {
  assert.equal(sheetOf(picture(200, 240, () => 255), 200, 240), null);
  assert.equal(sheetOf(picture(200, 240, (x) => 180 + (x % 7)), 200, 240), null);
  assert.equal(sheetOf(picture(SIDE, SIDE, () => 0), SIDE, SIDE), null);
});

test("a picture of any shape stays on the sheet", () => {
  for (const [width, height] of [[1, 1], [280, 1], [3, 280], [7, 5], [27, 29]]) {
    const pixels = sheetOf(picture(width, height, (x, y) => ((x + y) % 2 ? 255 : 0)), width, height);
    assert.ok(pixels === null || pixels.every((ink) => ink >= 0 && ink <= 1 + 1e-6), `${width} x ${height}`);
  }
});
