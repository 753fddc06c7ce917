import assert from "node:assert/strict";
import test from "node:test";
import { remaining } from "../../frontend/core/progress.js";

const SIGNAL = {
  training: true, iteration: 150, start_iteration: 100, target_iteration: 600, samples_per_second: 6400, batch_size: 64,
};

test("a training of so many iterations tells how far it has come and how long it will take", () => {
  assert.deepEqual(remaining(SIGNAL), { share: 0.1, words: "50 of 500 iterations, about 5 s left. Stops at iteration 600." });
});

test("minutes and hours are told as such, and no time where the speed is not known", () => {
  assert.match(remaining({ ...SIGNAL, samples_per_second: 64 * 3 }).words, /about 3 min left/);
  assert.match(remaining({ ...SIGNAL, samples_per_second: 64 / 24 }).words, /about 3 h left/);
  assert.equal(remaining({ ...SIGNAL, samples_per_second: 0 }).words, "50 of 500 iterations. Stops at iteration 600.");
});

test("there is no progress without a target, or when paused", () => {
  assert.equal(remaining(null), null);
  assert.equal(remaining({ ...SIGNAL, target_iteration: null }), null);
  assert.equal(remaining({ ...SIGNAL, training: false }), null);
});

test("a run that went back before its start, as by a restore, is at the beginning", () => {
  assert.equal(remaining({ ...SIGNAL, iteration: 90 }).share, 0);
});
