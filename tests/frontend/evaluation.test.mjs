import assert from "node:assert/strict";
import test from "node:test";

import * as evaluation from "../../frontend/core/evaluation.js";

/** Ten images of each digit, all read rightly but for the `mistakes` [label, digit, count]. */
function report(...mistakes) {
  const confusion = Array.from({ length: 10 }, (_, label) => Array.from({ length: 10 }, (_, digit) => (label === digit ? 10 : 0)));
  for (const [label, digit, count] of mistakes) {
    confusion[label][label] -= count;
    confusion[label][digit] += count;
  }
  return { confusion };
}

test("accuracy per digit is the share of its row on the diagonal", () => {
  const { confusion } = report([4, 9, 3], [7, 1, 1]);
  const expected = [1, 1, 1, 1, 0.7, 1, 1, 0.9, 1, 1];
  assert.deepEqual(evaluation.digitAccuracies(confusion), expected);
  assert.equal(evaluation.mistakes(confusion), 4);
});

test("a digit that does not occur has no accuracy", () => {
  const { confusion } = report();
  confusion[5][5] = 0;
  assert.equal(evaluation.digitAccuracies(confusion)[5], null);
  assert.equal(evaluation.cellWords(confusion, 5, 5), "5 read rightly: 0 images");
});

test("a field says what it counts", () => {
  const { confusion } = report([4, 9, 3], [7, 1, 1]);
  assert.equal(evaluation.cellName(4, 9, 31), "4 read as 9: 31 images");
  assert.equal(evaluation.cellWords(confusion, 4, 9), "4 read as 9: 3 images, 30.0 % of the 4s");
  assert.equal(evaluation.cellWords(confusion, 7, 1), "7 read as 1: 1 image, 10.0 % of the 7s");
  assert.equal(evaluation.cellWords(confusion, 4, 4), "4 read rightly: 7 images, 70.0 % of the 4s");
});

test("the colour grows with the share, from none to all, and shows one in a thousand", () => {
  assert.equal(evaluation.strength(0), 0);
  assert.equal(evaluation.strength(1), 1);
  assert.ok(evaluation.strength(0.001) > 0.08);
  assert.ok(evaluation.strength(0.1) > evaluation.strength(0.01));
});

test("arrows move within the grid and stop at its edges", () => {
  const at = { label: 0, digit: 9 };
  assert.deepEqual(evaluation.fieldAfter(at, "ArrowDown"), { label: 1, digit: 9 });
  assert.deepEqual(evaluation.fieldAfter(at, "ArrowUp"), at);
  assert.deepEqual(evaluation.fieldAfter(at, "ArrowRight"), at);
  assert.deepEqual(evaluation.fieldAfter(at, "ArrowLeft"), { label: 0, digit: 8 });
  assert.deepEqual(evaluation.fieldAfter(at, "Home"), { label: 0, digit: 0 });
  assert.deepEqual(evaluation.fieldAfter(at, "PageDown"), { label: 9, digit: 9 });
  assert.equal(evaluation.fieldAfter(at, "a"), null);
});

test("picked indices are different and within the set", () => {
  const draws = [0.1, 0.1, 0.999, 0.5];
  assert.deepEqual(evaluation.pickIndices(100, 3, () => draws.shift()), [10, 99, 50]);
  assert.equal(evaluation.pickIndices(2, 20).length, 2);
  assert.deepEqual(evaluation.pickIndices(0, 20), []);
});

test("two versions: who is better at what", () => {
  const first = report([4, 9, 3], [3, 5, 1]);
  const second = report([4, 9, 1], [8, 3, 1], [7, 1, 1]);
  assert.deepEqual(evaluation.betterDigits(first, second), { first: [7, 8], second: [3, 4] });
  assert.equal(
    evaluation.comparison(first, second, ["Version 5", "The live one"]),
    "The live one misreads 1 digit fewer. Version 5 is better at 7 and 8. The live one is better at 3 and 4.",
  );
  assert.equal(evaluation.comparison(first, first, ["A", "B"]), "Both misread equally many.");
});

test("the mistakes that differ most come first, equal ones not at all", () => {
  const first = report([4, 9, 3], [3, 5, 1], [0, 6, 2]);
  const second = report([3, 5, 2], [0, 6, 2]);
  assert.deepEqual(evaluation.differences(first, second, 5), [
    { label: 4, digit: 9, first: 3, second: 0 },
    { label: 3, digit: 5, first: 1, second: 2 },
  ]);
  assert.equal(evaluation.differences(first, second, 1).length, 1);
});

test("lists in words", () => {
  assert.deepEqual([[], [3], [3, 8], [0, 3, 8]].map(evaluation.listed), ["", "3", "3 and 8", "0, 3 and 8"]);
});

test("bars begin below all of the accuracies, as high as can be", () => {
  assert.equal(evaluation.floorBelow([0.97, null, 0.91]), 0.9);
  assert.equal(evaluation.floorBelow([0.97, 0.02]), 0);
  assert.equal(evaluation.floorBelow([]), 0.95);
});
