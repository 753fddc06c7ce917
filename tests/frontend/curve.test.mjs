import assert from "node:assert/strict";
import test from "node:test";
import { MAX_POINTS, createCurve, followSignal, lastIteration, nearestPoint, smoothOver } from "../../frontend/core/curve.js";

/** A signal whose history is the iterations `from + 1` to `to`; the loss is 1 / iteration unless given. */
function signalOf(from, to, { loss = (i) => 1 / i, acc = () => 0.5, history_from = from } = {}) {
  const iteration = Array.from({ length: to - from }, (_, i) => from + 1 + i);
  return { iteration: to, history_from, history: { iteration, loss: iteration.map(loss), acc: iteration.map(acc) } };
}

function longCurve(to, options, window) {
  const curve = createCurve(window);
  for (let from = 0; from < to; from += 50) followSignal(curve, signalOf(from, from + 50, options));
  return curve;
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
  followSignal(curve, { iteration: 10 });
  followSignal(curve, signalOf(10, 10));
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

test("a reset or a restore drops what came after it", () => {
  const curve = createCurve();
  followSignal(curve, signalOf(0, 50));
  followSignal(curve, { ...signalOf(20, 20), history_from: undefined });
  assert.equal(lastIteration(curve), 20);
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
  const spikes = { 777: 90, 20_001: 50, 39_998: 70 };
  const curve = longCurve(40_000, { loss: (i) => spikes[i] ?? 1 + (i % 7) / 10, acc: (i) => (i === 12_345 ? 0 : 0.9) });
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
  const curve = longCurve(80_000, { loss: (i) => Math.sin(i) });
  const early = curve.iteration.filter((iteration) => iteration <= 20_000).length;
  assert.ok(early > MAX_POINTS / 8, `${early} points in the first quarter`);
});

test("a loss that is no number stays as a gap and survives thinning", () => {
  const curve = longCurve(20_000, { loss: (i) => (i === 500 ? null : 1) });
  const index = curve.iteration.indexOf(500);
  assert.notEqual(index, -1);
  assert.equal(curve.loss[index], null);
  assert.equal(curve.smooth_loss[index], null);
  assert.ok(Number.isFinite(curve.smooth_loss.at(-1)));
});

test("smoothing follows a constant exactly and calms noise", () => {
  const curve = createCurve(100);
  followSignal(curve, signalOf(0, 2000, { loss: (i) => 1 + (i % 2 ? 0.5 : -0.5), acc: () => 0.25 }));
  assert.ok(Math.abs(curve.smooth_loss.at(-1) - 1) < 0.01);
  assert.ok(curve.smooth_acc.every((value) => Math.abs(value - 0.25) < 1e-12));
});

test("smoothing over no iterations is the curve itself", () => {
  const curve = createCurve(0);
  followSignal(curve, signalOf(0, 50));
  assert.deepEqual(curve.smooth_loss, curve.loss);
});

test("another smoothing is as if it had been so from the start", () => {
  const [changed, always] = [createCurve(5), createCurve(50)];
  for (const curve of [changed, always]) followSignal(curve, signalOf(0, 500, { loss: Math.sin }));
  const { revision } = changed;
  smoothOver(changed, 50);
  assert.deepEqual(changed.smooth_loss, always.smooth_loss);
  assert.ok(changed.revision > revision);
  smoothOver(changed, 50);
  assert.equal(changed.revision, revision + 1);
});

test("another smoothing of a thinned curve is the average of all, not of the extremes that were kept", () => {
  // One batch in ten is bad: the mean is 1, the middle between the extremes 5.5.
  const curve = longCurve(40_000, { loss: (i) => (i % 10 === 0 ? 10 : 0) }, 20);
  smoothOver(curve, 1000);
  assert.ok(Math.abs(curve.smooth_loss.at(-1) - 1) < 0.15, `${curve.smooth_loss.at(-1)}`);
});

test("extremes that came thinned are smoothed over several, not drawn as a zigzag", () => {
  const iteration = Array.from({ length: 1000 }, (_, i) => i * 25 + 1);
  const history = { iteration, loss: iteration.map((_, i) => (i % 2 ? 0 : 2)), acc: iteration.map(() => 1) };
  const curve = createCurve(20);
  followSignal(curve, { iteration: iteration.at(-1), history_from: 0, history });
  assert.ok(curve.smooth_loss.slice(50).every((value) => Math.abs(value - 1) < 0.15));
});

test("the nearest point to an iteration", () => {
  const curve = createCurve();
  followSignal(curve, { iteration: 40, history_from: 0, history: { iteration: [10, 20, 40], loss: [1, 1, 1], acc: [1, 1, 1] } });
  const at = (iteration) => curve.iteration[nearestPoint(curve, iteration)];
  assert.deepEqual([0, 10, 14, 16, 29, 31, 99].map(at), [10, 10, 10, 20, 20, 40, 40]);
  assert.equal(nearestPoint(createCurve(), 5), -1);
});
