import assert from "node:assert/strict";
import test from "node:test";
import { blankSheet, strokeSegment } from "../../frontend/core/brush.js";
import { decodeDrawing, encodeDrawing, readLink, writeLink } from "../../frontend/core/link.js";
import { initialView } from "../../frontend/core/view.js";

const VIEW = {
  raw: true,
  smoothing: 75,
  logarithmic: true,
  zoom: [120, 4800],
  shared: true,
  digit: 0,
  compare: ["live", 12],
  hidden: ["curves", "machine"],
  embed: true,
};

function seven() {
  const pixels = blankSheet();
  strokeSegment(pixels, { x: 6, y: 6 }, { x: 21, y: 6 });
  strokeSegment(pixels, { x: 21, y: 6 }, { x: 12, y: 23 });
  return pixels;
}

test("every field of the view comes back from a link", () => {
  assert.deepEqual(Object.keys(VIEW).sort(), Object.keys(initialView()).sort());
  const { query, hash } = writeLink(VIEW, null);
  assert.deepEqual(readLink(query, hash), { view: VIEW, pixels: null, problems: [] });
});

test("a view as it is at first needs no link at all", () => {
  assert.deepEqual(writeLink(initialView(), null), { query: "", hash: "" });
  assert.deepEqual(readLink("", ""), { view: initialView(), pixels: null, problems: [] });
});

test("what decides the layout is in the query, the rest behind the hash", () => {
  const { query, hash } = writeLink(VIEW, null);
  assert.equal(query, "embed=1&hide=curves,machine");
  assert.equal(hash, "raw=1&smoothing=75&log=1&zoom=120-4800&shared=1&digit=0&compare=live-12");
});

test("a drawing comes back to the nearest of 256 shades", () => {
  const pixels = seven();
  const { hash } = writeLink(initialView(), pixels);
  const back = readLink("", hash).pixels;
  pixels.forEach((ink, cell) => assert.ok(Math.abs(ink - back[cell]) <= 0.5 / 255 + 1e-6));
  assert.deepEqual(encodeDrawing(back), encodeDrawing(pixels));
});

test("a drawing is short enough for any address, and a full sheet of noise, too", () => {
  assert.ok(encodeDrawing(seven()).length < 400);
  const noise = Float32Array.from({ length: 784 }, (_, k) => ((k * 37) % 254 + 1) / 255);
  assert.ok(encodeDrawing(noise).length < 1100);
  assert.deepEqual(decodeDrawing(encodeDrawing(noise)), noise);
});

test("runs longer than 255 cells, of paper and of ink, come back", () => {
  for (const ink of [0, 1]) {
    const pixels = new Float32Array(784).fill(ink);
    assert.deepEqual(decodeDrawing(encodeDrawing(pixels)), pixels);
  }
});

test("what is no drawing is refused, with a sentence", () => {
  const cut = encodeDrawing(seven()).slice(0, 40);
  for (const text of ["", "###", "AA", cut, "A".repeat(5000)]) assert.equal(decodeDrawing(text), undefined);
  const { pixels, problems } = readLink("", `d=${cut}`);
  assert.equal(pixels, null);
  assert.match(problems[0], /cannot be read: perhaps the link was cut off/);
});

for (const [query, hash, named] of [
  ["", "digit=12", "digit=12"],
  ["", "zoom=5", "zoom=5"],
  ["", "compare=live-x", "compare=live-x"],
  ["", "smoothing=-1", "smoothing=-1"],
  ["", "raw=yes", "raw=yes"],
  ["hide=curves,cellar", "", "hide=curves,cellar"],
]) {
  test(`${named} is left out, and the reader is told`, () => {
    const { view, problems } = readLink(query, hash);
    assert.deepEqual(view, initialView());
    assert.equal(problems.length, 1);
    assert.ok(problems[0].includes(named));
  });
}

test("what the page does not know is nobody's business", () => {
  assert.deepEqual(readLink("utm_source=mail", "heading-2"), { view: initialView(), pixels: null, problems: [] });
});
