import assert from "node:assert/strict";
import test from "node:test";
import { gentlerRate, healthOf } from "../../frontend/core/health.js";

const GUESSING = 2.302585;

function curveOf(loss, marks = []) {
  return { iteration: loss.map((_, i) => i + 1), loss, marks };
}
const run = (count, loss) => Array.from({ length: count }, (_, i) => (typeof loss === "function" ? loss(i) : loss));
/** A run that learns well, noisily. */
const good = run(300, (i) => 0.2 + 2 * Math.exp(-i / 40) + 0.1 * Math.sin(i * 7));

test("a run that learns is well, from its first iteration on", () => {
  for (let length = 0; length <= good.length; length += 1) assert.equal(healthOf(curveOf(good.slice(0, length))), null);
});

test("a fresh network that has hardly learnt is not dead", () => {
  assert.equal(healthOf(curveOf(run(100, (i) => GUESSING + 0.01 * Math.sin(i)))), null);
});

test("a loss that stands at ln 10 is that of a dead network", () => {
  assert.equal(healthOf(curveOf([...run(20, 2.4), ...run(29, GUESSING)])), null);
  assert.equal(healthOf(curveOf([...good, ...run(30, GUESSING)])), "dead");
});

test("a loss far above its minimum, or above that of guessing, is diverging", () => {
  assert.equal(healthOf(curveOf([...good, ...run(20, 1.8)])), "diverging");
  assert.equal(healthOf(curveOf([...run(20, 2.3), ...run(40, (i) => 2.3 + i)])), "diverging");
});

test("one spike is none", () => {
  assert.equal(healthOf(curveOf([...good, 5, ...run(9, 0.2)])), null);
});

test("a loss that comes down from high above is not diverging", () => {
  assert.equal(healthOf(curveOf(run(100, (i) => 40 * Math.exp(-i / 20)))), null);
});

test("once raised, the alarm stays until the loss is clearly lower", () => {
  const swings = [...good, ...run(20, 2.2), ...run(10, 1.1)];
  assert.equal(healthOf(curveOf(swings), "diverging"), "diverging");
  assert.equal(healthOf(curveOf([...swings, ...run(10, 0.4)]), "diverging"), null);
});

test("a loss that is no number has diverged", () => {
  assert.equal(healthOf(curveOf([...good, null])), "diverged");
});

test("a run that was put back has diverged until somebody trains on or replaces the weights", () => {
  const put = { iteration: 300, kind: "diverged", value: 10, at: 1 };
  assert.equal(healthOf(curveOf(good, [put])), "diverged");
  assert.equal(healthOf(curveOf([...good, 0.2], [put])), null);
  assert.equal(healthOf(curveOf(good, [put, { iteration: 300, kind: "restore", value: 3, at: 2 }])), null);
  assert.equal(healthOf(curveOf(good, [put, { iteration: 300, kind: "lrate", value: 1, at: 2 }])), "diverged");
});

test("the rate to try instead is a tenth, in two digits", () => {
  assert.deepEqual([10, 0.3, 0.035, 1.23].map(gentlerRate), [1, 0.03, 0.0035, 0.12]);
});
