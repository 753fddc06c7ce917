import assert from "node:assert/strict";
import test from "node:test";
import { rateAt, sliderAt } from "../../frontend/core/learning_rate.js";

test("each whole place is a power of ten", () => {
  assert.deepEqual([-4, -3, -2, -1, 0, 1].map(rateAt), [0.0001, 0.001, 0.01, 0.1, 1, 10]);
});

test("a rate has two digits, and the slider finds back to it", () => {
  assert.equal(rateAt(-1.45), 0.035);
  for (const rate of [0.00012, 0.035, 0.1, 0.5, 2.2, 10]) assert.equal(rateAt(sliderAt(rate)), rate);
});

test("a rate beyond the slider stands at its end", () => {
  assert.equal(sliderAt(1e-7), -4);
});
