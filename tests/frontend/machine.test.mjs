// The machine in words and numbers: what flows, what is away, what each part says.
import assert from "node:assert/strict";
import test from "node:test";
import { bytesWords, count, grouped, rateWords, ratesOf, shortage, stateSentence, workersOf } from "../../frontend/core/machine.js";
import { partsOf } from "../../frontend/core/machine_parts.js";
import { initialState } from "../../frontend/core/state.js";

const SIGNAL = {
  batch_size: 128, data_len: 14, data_futures_len: 2, iteration: 1234, cache_size: 16, training: true, trainer: "training", version: 71,
  samples_per_second: 25_600, dataset: "mnist", dataset_reason: "MNIST from a folder", data_workers: 2, test_acc: 0.9712, problem: null,
  workers: [{ name: "host:1", batches_per_second: 120 }, { name: "host:2", batches_per_second: 79.6 }],
};
const TRAFFIC = { frames: 20, weightsBytes: 1_220_000, publications: 10, guesses: 3.5 };

function running(changes = {}, more = {}) {
  const state = { ...initialState(), connection: { status: "connected", failures: 0 }, traffic: TRAFFIC };
  return { ...state, signal: { ...SIGNAL, ...changes }, ...more };
}
const crew = (length) => Array.from({ length }, (_, index) => ({ name: `host:${index}`, batches_per_second: 5 }));
const part = (state, id) => partsOf(state).find((one) => one.id === id);

test("a rate has as many digits as can be read", () => {
  const rates = [0, 0.25, 9.94, 9.96, 20.4, 213.4, 1234, 9949, 12_345, 123_456, NaN];
  assert.deepEqual(rates.map(rateWords), ["0", "0.3", "9.9", "10", "20", "213", "1,230", "9,950", "12.3k", "123k", "–"]);
  assert.deepEqual(bytesWords(814_000), { number: "814", unit: "kB/s" });
  assert.deepEqual(bytesWords(1_220_000), { number: "1.2", unit: "MB/s" });
  assert.deepEqual([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1,234,567"]);
  assert.deepEqual([count(1, "batch"), count(0, "batch"), count(2, "ticket")], ["1 batch", "0 batches", "2 tickets"]);
});

test("batches a second: those used by the trainer, and those cut by all workers together", () => {
  const rates = ratesOf(running());
  assert.equal(rates.used, 200);
  assert.equal(rates.cut, 199.6);
  assert.equal(part(running(), "cut").value, "200");
  assert.equal(part(running(), "published").value, "10");
  assert.equal(part(running(), "stream").unit, "MB/s");
});

test("what flows faster is drawn faster, and what does not flow stands still", () => {
  const pace = (samples_per_second) => part(running({ samples_per_second }), "used").pace;
  assert.equal(pace(0), 0);
  const paces = [128, 1280, 12_800, 128_000, 1e9].map(pace);
  assert.deepEqual(paces, paces.toSorted((a, b) => a - b));
  assert.ok(paces[0] > 0.5 && paces.at(-1) === 4);
});

test("each part has a name, a purpose in sentences, and an id of its own", () => {
  const parts = partsOf(running());
  assert.equal(new Set(parts.map(({ id }) => id)).size, parts.length);
  for (const { id, kind, title, does, now } of parts) {
    assert.ok(["box", "list", "chip", "worker", "flow"].includes(kind), id);
    assert.ok(title && does.endsWith("."), id);
    assert.ok(now === "" || now.endsWith("."), `${id}: ${now}`);
    assert.doesNotMatch(`${title} ${does} ${now}`, /undefined|NaN|null|–/, id);
  }
});

test("before the first word from the server every part has something to show", () => {
  for (const { id, title, value = "" } of partsOf(initialState())) {
    assert.ok(title, id);
    assert.doesNotMatch(value, /undefined|NaN|null/, id);
  }
  assert.match(stateSentence(initialState()), /first word/);
});

test("the two lists are as full as the cache is", () => {
  assert.equal(part(running(), "batches").share, 14 / 16);
  assert.equal(part(running(), "tickets").share, 2 / 16);
  assert.equal(part(running({ data_len: 40 }), "batches").share, 1);
  assert.equal(part(running(), "batches").now, "14 batches ready, of 16.");
  assert.match(part(running({ data_len: 1, data_futures_len: 1 }), "redis").now, /1 batch ready, and 1 ticket not yet answered/);
});

test("a few workers each with its rate, many as one box, and those that are not named counted, too", () => {
  const workersShown = (state) => partsOf(state).filter(({ kind }) => kind === "worker");
  assert.deepEqual(workersShown(running()).map(({ value }) => value), ["120", "80"]);
  assert.equal(workersShown(running({ data_workers: 8, workers: crew(8) })).length, 8);
  assert.equal(workersShown(running({ data_workers: 9, workers: crew(9) })).length, 0);
  assert.equal(part(running({ data_workers: 9, workers: crew(9) }), "workers").now, "9 are at work, cutting 45 batches a second.");
  assert.equal(workersOf({ data_workers: 70, workers: crew(64) }).length, 70);
  assert.equal(part(running({ data_workers: 1, workers: crew(1) }), "workers").title, "data worker");
});

test("no worker: it says so at their box, and how to add some", () => {
  const state = running({ data_workers: 0, workers: [] });
  assert.equal(part(state, "workers").trouble, true);
  assert.match(part(state, "workers").now, /make scale DATA_WORKERS=4/);
  assert.match(shortage(state), /no data worker is running/);
  assert.equal(shortage(running({ data_workers: 0, training: false })), null);
});

test("starved: said at the trainer and at the workers, in the words of the notice", () => {
  const state = running({ trainer: "waiting for data" }, { starved: true });
  assert.equal(part(state, "trainer").note, "waits for data");
  assert.ok(part(state, "trainer").trouble && part(state, "workers").trouble);
  assert.equal(stateSentence(state), shortage(state));
  assert.equal(part(running({ trainer: "waiting for data" }), "trainer").note, "training"); // a moment's wait is no news
});

test("paused, no trainer, Redis away, connection lost: each at the part that it befell", () => {
  const troubled = (state) => partsOf(state).filter(({ trouble }) => trouble).map(({ id }) => id);
  const paused = running({ training: false, trainer: "paused", samples_per_second: 0 });
  assert.deepEqual(troubled(paused), []);
  assert.match(stateSentence(paused), /^Paused: 14 batches lie ready/);

  const leaderless = running({ trainer: "none", problem: "No trainer is running: training goes on when one is back." });
  assert.deepEqual(troubled(leaderless), ["trainer"]);
  assert.equal(part(leaderless, "trainer").note, "no trainer");
  assert.equal(ratesOf(leaderless).used, 0);

  const away = running({ trainer: "none", problem: "Redis is away: training pauses, and goes on by itself when it is back." });
  assert.deepEqual(troubled(away), ["redis", "trainer"]);
  assert.match(stateSentence(away), /^Redis is away/);
  assert.equal(ratesOf(away).cut, 0);

  const full = running({ trainer: "none", problem: "Redis takes no writes: its memory is full." });
  assert.deepEqual(troubled(full), ["redis", "trainer"]);
  assert.deepEqual([part(full, "redis").note, part(full, "trainer").note], ["full", "cut off"]);
  assert.equal(stateSentence(full), "Redis takes no writes: its memory is full.");
  assert.equal(ratesOf(full).cut, 0);

  const lost = running({}, { connection: { status: "reconnecting", failures: 2 } });
  assert.deepEqual(troubled(lost), ["page"]);
  assert.ok(partsOf(lost).every(({ pace = 0 }) => pace === 0));
});

test("a problem of the training is told at the trainer", () => {
  const state = running({ training: false, trainer: "paused", problem: "Training diverged." });
  assert.deepEqual([part(state, "trainer").trouble, part(state, "trainer").now], [true, "Training diverged."]);
});
