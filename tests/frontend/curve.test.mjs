import assert from "node:assert/strict";
import test from "node:test";
import {
  MAX_POINTS,
  createCurve,
  followSignal,
  lastIteration,
  recallTests,
  smoothedForDrawing,
  testColumn,
} from "../../frontend/core/curve.js";

/** A signal whose history is the iterations `from + 1` to `to`; the loss is 1 / iteration unless given. */
function signalOf(from, to, { loss = (i) => 1 / i, acc = () => 0.5, test_acc = null, history_from = from } = {}) {
  const iteration = Array.from({ length: to - from }, (_, i) => from + 1 + i);
  return { iteration: to, test_acc, history_from, history: { iteration, loss: iteration.map(loss), acc: iteration.map(acc) } };
}

test("frames join to one curve without a gap or a double", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 10));
  followSignal(curve, signalOf(10, 25));
  assert.deepEqual(curve.iteration, Array.from({ length: 25 }, (_, i) => i + 1));
  assert.equal(curve.loss[19], 1 / 20);
});

test("an iteration that comes twice is one point", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 10));
  followSignal(curve, signalOf(5, 15, { history_from: 10, loss: () => 9 }));
  assert.deepEqual(curve.iteration, Array.from({ length: 15 }, (_, i) => i + 1));
  assert.equal(curve.loss[7], 1 / 8);
});

test("a frame without history changes nothing", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 10));
  const { revision } = curve;
  followSignal(curve, { iteration: 10, test_acc: null });
  assert.equal(curve.revision, revision);
});

test("history replaces what came after history_from", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 30));
  followSignal(curve, signalOf(20, 35, { loss: () => 7 }));
  assert.equal(lastIteration(curve), 35);
  assert.equal(curve.loss[19], 1 / 20);
  assert.deepEqual(curve.loss.slice(20), new Array(15).fill(7));
});

test("the first frame after a reconnection replaces the whole curve and keeps its test points", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 30, { test_acc: 0.9 }));
  followSignal(curve, signalOf(0, 60, { history_from: 0, test_acc: 0.9 }));
  assert.equal(curve.iteration.length, 60);
  assert.deepEqual(curve.tests, [{ iteration: 30, test_acc: 0.9 }]);
});

test("a reset or a restore drops what came after it", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 50, { test_acc: 0.8 }));
  followSignal(curve, { ...signalOf(20, 20), history_from: undefined });
  assert.equal(lastIteration(curve), 20);
  assert.deepEqual(curve.tests, []);
  followSignal(curve, signalOf(0, 0));
  assert.equal(lastIteration(curve), -1);
});

test("a run that was reset and has passed some iterations since keeps none of the old ones", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 50));
  followSignal(curve, signalOf(0, 3, { loss: () => 2 }));
  assert.deepEqual(curve.loss, [2, 2, 2]);
});

test("a long curve is thinned, and no spike is lost", () => {
  const curve = createCurve();
  const spikes = { 777: 90, 20_001: 50, 39_998: 70 };
  const loss = (i) => spikes[i] ?? 1 + (i % 7) / 10;
  const acc = (i) => (i === 12_345 ? 0 : 0.9);
  for (let from = 0; from < 40_000; from += 50) followSignal(curve, signalOf(from, from + 50, { loss, acc }));
  assert.ok(curve.iteration.length <= 2 * MAX_POINTS);
  for (const [iteration, height] of Object.entries(spikes)) {
    assert.equal(curve.loss[curve.iteration.indexOf(Number(iteration))], height);
  }
  assert.equal(Math.min(...curve.acc), 0);
  assert.equal(curve.iteration[0], 1);
  assert.equal(lastIteration(curve), 40_000);
  assert.ok(curve.iteration.every((value, i) => i === 0 || value > curve.iteration[i - 1]));
});

test("thinning keeps the early part of a run as fine as the late one", () => {
  const curve = createCurve();
  const loss = (i) => Math.sin(i);
  for (let from = 0; from < 80_000; from += 100) followSignal(curve, signalOf(from, from + 100, { loss }));
  const early = curve.iteration.filter((iteration) => iteration <= 20_000).length;
  assert.ok(early > MAX_POINTS / 8, `${early} points in the first quarter`);
});

test("a loss that is no number stays as a gap and survives thinning", () => {
  const curve = createCurve();
  const loss = (i) => (i === 500 ? null : 1);
  for (let from = 0; from < 20_000; from += 100) followSignal(curve, signalOf(from, from + 100, { loss }));
  const index = curve.iteration.indexOf(500);
  assert.notEqual(index, -1);
  assert.equal(curve.loss[index], null);
  assert.ok(Number.isFinite(curve.smooth_loss.at(-1)));
});

test("a test accuracy is one point when it is measured, not one in each frame", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 10, { test_acc: 0.5 }));
  followSignal(curve, signalOf(10, 20, { test_acc: 0.5 }));
  followSignal(curve, signalOf(20, 30, { test_acc: 0.7 }));
  const column = testColumn(curve);
  assert.equal(column.length, 30);
  assert.deepEqual([column[9], column[19], column[29]], [0.5, null, 0.7]);
});

test("the test accuracy of the weights before a reset is no point of the run after it", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 100, { test_acc: 0.97 }));
  followSignal(curve, signalOf(0, 0, { test_acc: 0.97 }));
  followSignal(curve, signalOf(0, 10, { test_acc: 0.97 }));
  assert.deepEqual(curve.tests, []);
  followSignal(curve, signalOf(10, 20, { test_acc: 0.3 }));
  assert.deepEqual(curve.tests, [{ iteration: 20, test_acc: 0.3 }]);
});

test("a page that comes late recalls the test points of this run alone", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 3000));
  recallTests(curve, [
    { iteration: 2000, test_acc: 0.95, origin: "checkpoint" },
    { iteration: 1500, test_acc: null, origin: "save" },
    { iteration: 1000, test_acc: 0.93, origin: "checkpoint" },
    { iteration: 0, test_acc: null, origin: "reset" },
    { iteration: 900, test_acc: 0.4, origin: "checkpoint" },
  ]);
  assert.deepEqual(curve.tests, [{ iteration: 1000, test_acc: 0.93 }, { iteration: 2000, test_acc: 0.95 }]);
  const { revision } = curve;
  recallTests(curve, [{ iteration: 2000, test_acc: 0.95, origin: "checkpoint" }]);
  assert.equal(curve.revision, revision);
});

test("smoothing follows a constant exactly and calms noise", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 2000, { loss: (i) => 1 + (i % 2 ? 0.5 : -0.5), acc: () => 0.25 }));
  assert.ok(Math.abs(smoothedForDrawing(curve, "smooth_loss").at(-1) - 1) < 0.05);
  assert.ok(smoothedForDrawing(curve, "smooth_acc").every((value) => Math.abs(value - 0.25) < 1e-12));
});
