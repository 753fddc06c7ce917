import assert from "node:assert/strict";
import test from "node:test";
import { blankSheet } from "../../frontend/core/brush.js";
import { initialState, reduce } from "../../frontend/core/state.js";

const SIGNAL = { iteration: 0, batch_size: 64, lrate: 0.1, cache_size: 16, trainer: "paused", test_acc: null, version: 1 };

function after(...events) {
  return events.reduce(reduce, initialState());
}
const signal = (changes = {}, now = 0) => ({ type: "signal", signal: { ...SIGNAL, ...changes }, now });
const setting = (state, key) => state.settings[key];

const sent = (value) => ({ type: "setting-sent", key: "batch_size", value });
const settled = (value) => ({ type: "setting-settled", key: "batch_size", value });

test("a setting is pending until the server has confirmed it, whatever else is told meanwhile", () => {
  const asked = after(signal(), sent(128));
  assert.equal(setting(asked, "batch_size").pending, 128);
  const told = reduce(asked, signal({ iteration: 3, batch_size: 32 }));
  assert.equal(setting(told, "batch_size").pending, 128);
  assert.equal(setting(reduce(told, settled(128)), "batch_size").pending, null);
});

test("the answer to an older value does not settle a newer one", () => {
  const state = after(signal(), sent(128), sent(256), settled(128));
  assert.equal(setting(state, "batch_size").pending, 256);
  assert.equal(setting(reduce(state, settled(256)), "batch_size").pending, null);
});

test("what the server confirms shows before its next frame, and nothing else of the answer does", () => {
  const state = after(signal({ iteration: 7 }), { type: "confirmed", answer: { batch_size: 128, training: true, iteration: 1 } });
  assert.deepEqual([state.signal.batch_size, state.signal.training, state.signal.iteration], [128, true, 7]);
  assert.equal(after({ type: "confirmed", answer: { batch_size: 128 } }).signal, null);
});

test("a refused setting is no longer pending, and the next edit clears the reason", () => {
  const detail = "value = 9999 has to be at most 4096";
  const refused = after(signal(), sent(9999), { type: "setting-refused", key: "batch_size", detail });
  assert.deepEqual(setting(refused, "batch_size"), { pending: null, error: detail });
  assert.equal(setting(refused, "lrate").error, null);
  const edited = reduce(refused, { type: "setting-edited", key: "batch_size" });
  assert.equal(setting(edited, "batch_size").error, null);
});

test("an Error over the WebSocket is shown beside the run", () => {
  assert.equal(after({ type: "error", signal: null, detail: "not JSON" }).run.error, "not JSON");
});

test("waiting for data is said only when it lasts, and no longer when it ends", () => {
  const waiting = after(signal({ trainer: "waiting for data" }, 1000));
  assert.equal(waiting.starved, false);
  assert.equal(reduce(waiting, { type: "tick", now: 1900 }).starved, false);
  const starved = reduce(waiting, { type: "tick", now: 2000 });
  assert.equal(starved.starved, true);
  assert.equal(reduce(starved, signal({ trainer: "waiting for data" }, 2100)).starved, true);
  assert.equal(reduce(starved, signal({ trainer: "training" }, 2100)).starved, false);
});

test("signals that come while it waits do not start the count anew", () => {
  const waiting = (now) => signal({ trainer: "waiting for data" }, now);
  assert.equal(after(waiting(0), waiting(600), { type: "tick", now: 1000 }).starved, true);
  assert.equal(after(waiting(0), waiting(600), waiting(1100)).starved, true);
});

test("waiting that is broken by training starts to count anew", () => {
  const state = after(
    signal({ trainer: "waiting for data" }, 0),
    signal({ trainer: "training" }, 900),
    signal({ trainer: "waiting for data" }, 1000),
    { type: "tick", now: 1500 },
  );
  assert.equal(state.starved, false);
});

test("the history goes to the curve and is not kept twice", () => {
  const state = after(signal({ iteration: 2, history: { iteration: [1, 2], loss: [2, 1], acc: [0, 1] }, history_from: 0 }));
  assert.deepEqual(state.curve.loss, [2, 1]);
  assert.equal("history" in state.signal, false);
});

test("each drawing has its own revision, and the label of a sample does not outlive the sample", () => {
  const pixels = blankSheet();
  pixels[5] = 1;
  const sample = after({ type: "drawing", pixels, label: 7 });
  assert.deepEqual([sample.drawing.revision, sample.drawing.blank, sample.drawing.label], [1, false, 7]);
  const drawnOn = reduce(sample, { type: "drawing", pixels });
  assert.deepEqual([drawnOn.drawing.revision, drawnOn.drawing.label], [2, null]);
  assert.equal(reduce(drawnOn, { type: "drawing", pixels: blankSheet() }).drawing.blank, true);
});

test("the chosen version stays chosen while it exists; else the newest is", () => {
  const list = (...versions) => ({ type: "versions", versions: versions.map((version) => ({ version, origin: "save" })), live: 9 });
  const first = after(list(9, 4, 2));
  assert.equal(first.weights.selected, 9);
  const chosen = reduce(first, { type: "set", slice: "weights", selected: 4 });
  assert.equal(reduce(chosen, list(10, 9, 4)).weights.selected, 4);
  assert.equal(reduce(chosen, list(10, 9)).weights.selected, 10);
  assert.equal(reduce(chosen, list()).weights.selected, null);
});

test("an unknown event is a mistake of ours and says so", () => {
  assert.throws(() => after({ type: "signl" }), /no such event: signl/);
});
