// A rate meter: whole bins of a quarter of a second, two seconds of them.
import assert from "node:assert/strict";
import test from "node:test";
import { createRateMeter } from "../../frontend/core/rates.js";

const START = 123_456_000; // a page that has been open for a while

function counted(everyMs, forMs) {
  const meter = createRateMeter();
  for (let time = 0; time < forMs; time += everyMs) meter.add(START + time);
  return meter;
}

test("twenty a second are twenty a second, whenever one asks", () => {
  const meter = counted(50, 5000);
  assert.deepEqual([5000, 5100, 5200].map((time) => meter.rate(START + time)), [20, 20, 20]);
});

test("what began just now is not yet a rate, and then grows to one", () => {
  const meter = createRateMeter();
  meter.add(START, 10);
  assert.equal(meter.rate(START), 0);
  assert.equal(meter.rate(START + 250), 5);
});

test("two seconds after the last one nothing comes any more", () => {
  const meter = counted(50, 3000);
  assert.equal(meter.rate(START + 4000), 10);
  assert.equal(meter.rate(START + 5300), 0);
  assert.equal(meter.rate(START + 1e9), 0);
});

test("a silence forgets what was before it, and counting begins afresh", () => {
  const meter = counted(10, 2000);
  meter.add(START + 60_000, 4);
  assert.equal(meter.rate(START + 60_250), 2);
});

test("amounts add up: bytes a second", () => {
  const meter = createRateMeter();
  for (let time = 0; time < 4000; time += 100) meter.add(START + time, 203_000);
  assert.equal(meter.rate(START + 4000), 2_030_000);
});
