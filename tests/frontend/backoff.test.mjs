import assert from "node:assert/strict";
import test from "node:test";
import { reconnectDelay } from "../../frontend/core/backoff.js";

test("the first try again comes within a quarter of a second", () => {
  assert.ok(reconnectDelay(0, 1) <= 250);
});

test("the delay doubles and stays within ten seconds", () => {
  assert.equal(reconnectDelay(3, 0.5), 2 * reconnectDelay(2, 0.5));
  assert.equal(reconnectDelay(40, 1), 10_000);
});

test("chance spreads the tries over the upper half of the delay", () => {
  assert.equal(reconnectDelay(2, 0), reconnectDelay(2, 1) / 2);
  for (let i = 0; i < 50; i += 1) {
    const delay = reconnectDelay(2);
    assert.ok(delay >= 500 && delay <= 1000);
  }
});
