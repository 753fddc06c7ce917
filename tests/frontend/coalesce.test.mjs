import assert from "node:assert/strict";
import test from "node:test";
import { latestOnly, throttle } from "../../frontend/core/coalesce.js";

/** A server whose answers the test gives when it likes. */
function slowServer() {
  const calls = [];
  const send = (input) => new Promise((resolve, reject) => calls.push({ input, resolve, reject }));
  return { calls, send };
}

function setUp() {
  const server = slowServer();
  const answers = [];
  const errors = [];
  const asker = latestOnly({
    send: server.send,
    onAnswer: (answer) => answers.push(answer),
    onError: (error) => errors.push(error.message),
  });
  return { ...server, answers, errors, asker };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("one request is under way at a time, and the newest of those that waited comes next", async () => {
  const { calls, answers, asker } = setUp();
  for (const input of ["a", "b", "c", "d"]) asker.ask(input);
  assert.deepEqual(calls.map((call) => call.input), ["a"]);
  calls[0].resolve("A");
  await settle();
  assert.deepEqual(calls.map((call) => call.input), ["a", "d"]);
  calls[1].resolve("D");
  await settle();
  assert.deepEqual(answers, ["A", "D"]);
  assert.equal(calls.length, 2);
});

test("an answer after cancel is not shown, and a later question is", async () => {
  const { calls, answers, asker } = setUp();
  asker.ask("old");
  asker.ask("waiting");
  asker.cancel();
  asker.ask("new");
  calls[0].resolve("OLD");
  await settle();
  assert.deepEqual(calls.map((call) => call.input), ["old", "new"]);
  calls[1].resolve("NEW");
  await settle();
  assert.deepEqual(answers, ["NEW"]);
});

test("a failure is reported and does not stop what waits", async () => {
  const { calls, answers, errors, asker } = setUp();
  asker.ask("a");
  asker.ask("b");
  calls[0].reject(new Error("no weights yet"));
  await settle();
  calls[1].resolve("B");
  await settle();
  assert.deepEqual(errors, ["no weights yet"]);
  assert.deepEqual(answers, ["B"]);
});

test("throttle calls at once, then at most once in the interval, and never loses the last", () => {
  let now = 0;
  let count = 0;
  const timers = [];
  const clock = { now: () => now, later: (call, wait) => timers.push({ call, at: now + wait }) };
  const throttled = throttle(() => (count += 1), 250, clock);
  throttled();
  assert.equal(count, 1);
  now = 100;
  throttled();
  throttled();
  assert.equal(count, 1);
  assert.deepEqual(timers.map(({ at }) => at), [250]);
  now = 250;
  timers[0].call();
  assert.equal(count, 2);
  now = 600;
  throttled();
  assert.equal(count, 3);
});
