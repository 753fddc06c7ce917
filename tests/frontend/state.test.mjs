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

test("a setting is pending until the server shows it", () => {
  const asked = after(signal(), { type: "setting-sent", key: "batch_size", value: 128 });
  assert.equal(setting(asked, "batch_size").pending, 128);
  const unrelated = reduce(asked, signal({ iteration: 3 }));
  assert.equal(setting(unrelated, "batch_size").pending, 128);
  const confirmed = reduce(unrelated, signal({ batch_size: 128 }));
  assert.equal(setting(confirmed, "batch_size").pending, null);
});

test("a learning rate that was rounded to float32 on the way counts as confirmed", () => {
  const state = after(signal(), { type: "setting-sent", key: "lrate", value: 0.035 }, signal({ lrate: Math.fround(0.035) }));
  assert.equal(setting(state, "lrate").pending, null);
});

test("asking for what already holds is not pending", () => {
  const state = after(signal(), { type: "setting-sent", key: "cache_size", value: 16 });
  assert.equal(setting(state, "cache_size").pending, null);
});

test("a change by somebody else settles a pending setting too", () => {
  const state = after(signal(), { type: "setting-sent", key: "batch_size", value: 128 }, signal({ batch_size: 32 }));
  assert.equal(setting(state, "batch_size").pending, null);
  assert.equal(state.signal.batch_size, 32);
});

test("an Error goes to the setting that it is about, and the next edit clears it", () => {
  const detail = "batch_size is 9999: it has to be 1 to 4096.";
  const refused = after(
    signal(),
    { type: "setting-sent", key: "batch_size", value: 9999 },
    { type: "error", signal: "SetBatchSize", detail },
  );
  assert.deepEqual(setting(refused, "batch_size"), { pending: null, before: null, error: detail });
  assert.equal(setting(refused, "lrate").error, null);
  assert.equal(refused.run.error, null);
  const edited = reduce(refused, { type: "setting-edited", key: "batch_size" });
  assert.equal(setting(edited, "batch_size").error, null);
});

test("an Error about the run or about nothing known is shown beside the run", () => {
  assert.equal(after({ type: "error", signal: "Start", detail: "no" }).run.error, "no");
  assert.equal(after({ type: "error", signal: null, detail: "not JSON" }).run.error, "not JSON");
});

test("losing the connection ends what was pending, with the reason", () => {
  const state = after(
    signal(),
    { type: "setting-sent", key: "lrate", value: 0.5 },
    { type: "connection", status: "reconnecting", failures: 0 },
  );
  assert.equal(setting(state, "lrate").pending, null);
  assert.match(setting(state, "lrate").error, /connection was lost/);
  assert.equal(setting(state, "batch_size").error, null);
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
