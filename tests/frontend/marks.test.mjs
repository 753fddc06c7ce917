import assert from "node:assert/strict";
import test from "node:test";
import { createCurve, followSignal } from "../../frontend/core/curve.js";
import { markLabel, markWords, placeMarks } from "../../frontend/core/marks.js";

const mark = (iteration, kind, value, at = iteration) => ({ iteration, kind, value, at });
const tested = (version, iteration, test_acc) => ({ version, iteration, test_acc });

/** A signal at `iteration` without points. */
function signalAt(iteration, { marks = [], tests = [], history_from = iteration, ...fields } = {}) {
  return { iteration, history_from, history: { iteration: [], loss: [], acc: [], marks, tests }, ...fields };
}

function after(...signals) {
  const curve = createCurve();
  for (const signal of signals) followSignal(curve, signal);
  return curve;
}

test("a mark that comes again is one mark, and no change", () => {
  const marks = [mark(5, "tune", 3)];
  const curve = after(signalAt(5, { marks }));
  const { revision } = curve;
  followSignal(curve, signalAt(5, { marks }));
  assert.equal(curve.marks.length, 1);
  assert.equal(curve.revision, revision);
});

test("a run that goes back keeps the marks up to there, and the one that tells of it", () => {
  const curve = after(
    signalAt(50, { marks: [mark(10, "lrate", 0.5), mark(30, "lrate", 1), mark(50, "tune", 4)] }),
    signalAt(30, { marks: [mark(30, "restore", 9, 99)] }),
  );
  assert.deepEqual(curve.marks.map(({ kind, iteration }) => [kind, iteration]), [["lrate", 10], ["lrate", 30], ["restore", 30]]);
});

test("marks are in the order of their times, at most so many, the newest", () => {
  const marks = Array.from({ length: 300 }, (_, i) => mark(7, "tune", i, 300 - i));
  const curve = after(signalAt(7, { marks }));
  assert.equal(curve.marks.length, 200);
  assert.deepEqual([curve.marks[0].at, curve.marks.at(-1).at], [101, 300]);
});

test("what was done before a reset belongs to a run that is gone", () => {
  const marks = [mark(0, "lrate", 0.5, 1), mark(0, "reset", 4, 2), mark(0, "lrate", 0.1, 3)];
  const curve = after(signalAt(0, { marks }));
  assert.deepEqual(curve.marks.map(markWords), ["weights reset", "learning rate 0.5 → 0.1"]);
  const { revision } = curve;
  followSignal(curve, signalAt(0, { marks }));
  assert.deepEqual([curve.marks.length, curve.revision], [2, revision]);
});

test("a kind of mark that this page does not know is left out", () => {
  assert.deepEqual(after(signalAt(7, { marks: [mark(7, "momentum", 1)] })).marks, []);
});

test("what a setting was before comes from the mark before, or from the signals until then", () => {
  const curve = after(
    signalAt(5, { lrate: 0.1, batch_size: 128 }),
    signalAt(8, { lrate: 0.5, batch_size: 128, marks: [mark(8, "lrate", 0.5)] }),
    signalAt(9, { lrate: 0.05, batch_size: 64, marks: [mark(9, "lrate", 0.05), mark(9, "batch_size", 64)] }),
  );
  assert.deepEqual(curve.marks.map(markWords), ["learning rate 0.1 → 0.5", "learning rate 0.5 → 0.05", "batch size 128 → 64"]);
});

test("a page that comes late does not know what the first change was from", () => {
  const curve = after(signalAt(8, { lrate: 0.5, marks: [mark(8, "lrate", 0.5)] }));
  assert.equal(markWords(curve.marks[0]), "learning rate set to 0.5");
});

test("every kind of mark has words and a label", () => {
  const words = { tune: /taught/, upload: /uploaded.*4/, reset: /reset/, restore: /restored.*4/, diverged: /failed.*4/ };
  for (const [kind, pattern] of Object.entries(words)) assert.match(markWords(mark(1, kind, 4)), pattern);
  assert.equal(markLabel(mark(1, "cache_size", 24)), "cache 24");
  assert.equal(markLabel(mark(1, "lrate", 0.30000001)), "rate 0.3");
});

test("a test point is one point, however often it comes, in the order of the iterations", () => {
  const curve = after(
    signalAt(30, { tests: [tested(2, 20, 0.9)] }),
    signalAt(30, { tests: [tested(1, 10, 0.8), tested(2, 20, 0.9)] }),
  );
  assert.deepEqual(curve.tests, [tested(1, 10, 0.8), tested(2, 20, 0.9)]);
});

test("a run that goes back forgets the test points after that", () => {
  const curve = after(signalAt(30, { tests: [tested(1, 10, 0.8), tested(2, 25, 0.9)] }), signalAt(10));
  assert.deepEqual(curve.tests, [tested(1, 10, 0.8)]);
});

test("many test points thin out, and the newest stays", () => {
  const curve = after(signalAt(5000, { tests: Array.from({ length: 2000 }, (_, i) => tested(i, i, 0.5)) }));
  assert.equal(curve.tests.length, 1000);
  assert.equal(curve.tests.at(-1).iteration, 1999);
});

const PLOT = { xOf: (iteration) => iteration, widthOf: (text) => text.length * 6, left: 0, right: 300 };

test("crowded labels thin out: the newest is read, every line stays", () => {
  const placed = placeMarks([mark(100, "tune", 1), mark(110, "reset", 2), mark(200, "upload", 3)], PLOT);
  assert.deepEqual(placed.map(({ x, label }) => [x, label]), [[200, "uploaded"], [110, "reset"], [100, null]]);
});

test("a label at the right edge stands left of its line, and marks out of sight are not placed", () => {
  const placed = placeMarks([mark(290, "upload", 3), mark(301, "tune", 1), mark(-1, "tune", 1)], PLOT);
  assert.deepEqual(placed.map(({ x, right }) => [x, right]), [[290, true]]);
});
