import assert from "node:assert/strict";
import test from "node:test";
import { createCurve, followSignal } from "../../frontend/core/curve.js";
import { curveCsv } from "../../frontend/core/curve_csv.js";

test("a row for each iteration with a point, a test or a mark, in their order", () => {
  const curve = createCurve(0);
  followSignal(curve, {
    iteration: 3,
    history_from: 0,
    history: {
      iteration: [1, 3],
      loss: [2.5, null],
      acc: [0.125, 0.25],
      tests: [{ version: 2, iteration: 2, test_acc: 0.3 }],
      marks: [{ iteration: 3, kind: "lrate", value: 0.5, at: 0 }],
    },
  });
  assert.deepEqual(curveCsv(curve).split("\r\n"), [
    "iteration,loss,accuracy,smoothed_loss,smoothed_accuracy,test_accuracy,mark",
    "1,2.5,0.125,2.5,0.125,,",
    "2,,,,,0.3,",
    '3,,0.25,,0.25,,"learning rate set to 0.5 (1970-01-01T00:00:00.000Z)"',
    "",
  ]);
});

test("an empty curve is the header alone", () => {
  assert.equal(curveCsv(createCurve()).split("\r\n").length, 2);
});
