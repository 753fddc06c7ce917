import assert from "node:assert/strict";
import test from "node:test";
import { createPalette, parseHex, scaleFor, stepAt } from "../../frontend/core/colour.js";
import { placementOf } from "../../frontend/core/placement.js";
import { PITCH, extremesOf, favouritesOf, neighbour, orderUnits, paintTiles, rangesOf, sheetSize } from "../../frontend/core/tiles.js";
import { networkOf } from "./tensors.mjs";

const STOPS = ["#ff0000", "#808080", "#0000ff"].map(parseHex);
const stepOf = (value, range) => stepAt(value * scaleFor(range));
const rgb = (pixel) => Array.from(new Uint8Array(Uint32Array.of(pixel).buffer));

test("a palette has its stops at the ends and in the middle, and is opaque", () => {
  const palette = createPalette(STOPS);
  assert.deepEqual(rgb(palette[0]), [255, 0, 0, 255]);
  assert.deepEqual(rgb(palette[127]), [128, 128, 128, 255]);
  assert.deepEqual(rgb(palette.at(-1)), [0, 0, 255, 255]);
  assert.deepEqual(rgb(createPalette(STOPS, 0).at(-1)), [128, 128, 128, 255]);
});

test("numbers stand in the palette by their share of the range; what is none stands at zero", () => {
  assert.deepEqual([-2, 0, 1, 2].map((value) => stepOf(value, 2)), [0, 127, 191, 254]);
  assert.deepEqual([-9, 9, -Infinity, Infinity, NaN].map((value) => stepOf(value, 2)), [0, 254, 0, 254, 127]);
});

test("a colour that is none is refused by name", () => {
  assert.throws(() => parseHex("blue"), /blue is no colour/);
});

test("ranges and extremes of each unit's weights", () => {
  const layer = { inputs: 3, outputs: 2, matrix: Float32Array.of(1, -5, -3, 2, 2, Infinity) };
  assert.deepEqual(Array.from(rangesOf(layer)), [3, 5]);
  assert.deepEqual(extremesOf(layer, 0), { low: -3, high: 2 });
});

test("every weight is one pixel of its unit's tile, with paper between the tiles", () => {
  const { layers } = networkOf([784, 7, 10]);
  const [layer] = layers;
  const units = [6, 0, 3, 1, 5];
  const columns = 2;
  const { width, height } = sheetSize(units.length, columns);
  assert.deepEqual([width, height], [2 * PITCH - 1, 3 * PITCH - 1]);
  const target = new Uint32Array(width * height);
  const ramp = Uint32Array.from({ length: 255 }, (_, k) => k + 1); // so that 0 is what was not painted
  paintTiles(target, layer, units, { columns, rangeOf: () => 1, paletteOf: (unit) => ramp.map((step) => step + unit * 1000) });
  units.forEach((unit, place) => {
    for (const pixel of [0, 27, 28, 400, 783]) {
      const x = (place % columns) * PITCH + (pixel % 28);
      const y = Math.floor(place / columns) * PITCH + Math.floor(pixel / 28);
      assert.equal(target[y * width + x], stepOf(layer.matrix[pixel * 7 + unit], 1) + 1 + unit * 1000, `unit ${unit}, pixel ${pixel}`);
    }
  });
  assert.equal(target.filter((value) => value !== 0).length, units.length * 784);
});

test("units in their order: by number, by what they do, by the digit they speak for", () => {
  const strengths = [0, -3, 2, 2];
  const favourites = [7, 1, 7, 1].map((digit, k) => ({ digit, vote: k }));
  const ordered = (mode, given = strengths) => orderUnits(mode, 4, { strengths: given, favourites });
  assert.deepEqual(ordered("number"), [0, 1, 2, 3]);
  assert.deepEqual(ordered("strength"), [1, 2, 3, 0]);
  assert.deepEqual(ordered("strength", null), [0, 1, 2, 3]);
  assert.deepEqual(ordered("digit"), [3, 1, 2, 0]);
});

test("a unit's favourite is the digit of its largest vote", () => {
  const network = networkOf([784, 5, 10]);
  favouritesOf(network, null).forEach(({ digit, vote }, unit) => {
    const row = network.layers[1].matrix.slice(unit * 10, unit * 10 + 10);
    assert.equal(vote, Math.max(...row));
    assert.equal(row[digit], vote);
  });
});

test("arrow keys lead to the neighbours and stay inside", () => {
  const from = (place, key) => neighbour(place, key, 10, 4);
  assert.deepEqual(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "x"].map((key) => from(5, key)), [4, 6, 1, 9, 0, 9, 5]);
  assert.deepEqual([from(0, "ArrowLeft"), from(9, "ArrowRight"), from(2, "ArrowUp"), from(8, "ArrowDown")], [0, 9, 2, 8]);
});

function square(left, top, side) {
  return Float32Array.from({ length: 784 }, (_, k) => Number(k % 28 >= left && k % 28 < left + side && k >= top * 28 && k < (top + side) * 28));
}

test("the input lies on the drawing where the ink is the same", () => {
  const { scale, left, top } = placementOf(square(2, 4, 5), square(4, 8, 20));
  const at = (x, y) => [left + x * scale, top + y * scale];
  [...at(4, 8), ...at(24, 28)].forEach((value, k) => assert.ok(Math.abs(value - [2, 4, 7, 9][k]) < 0.15, String(value)));
  assert.deepEqual(placementOf(square(3, 3, 9), square(3, 3, 9)), { scale: 1, left: 0, top: 0 });
});

test("a blank drawing lies nowhere, a single cell where it is", () => {
  assert.equal(placementOf(new Float32Array(784), square(1, 1, 3)), null);
  assert.deepEqual(placementOf(square(3, 3, 1), square(4, 5, 1)), { scale: 1, left: -1, top: -2 });
});
