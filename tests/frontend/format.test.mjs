import assert from "node:assert/strict";
import test from "node:test";
import * as format from "../../frontend/core/format.js";

test("what is not a number yet is a dash", () => {
  for (const value of [null, undefined, NaN, Infinity]) {
    assert.equal(format.fixed(value, 4), "–");
    assert.equal(format.loss(value), "–");
    assert.equal(format.whole(value), "–");
    assert.equal(format.percent(value), "–");
  }
});

test("numbers keep their width", () => {
  assert.equal(format.fixed(0.97, 4), "0.9700");
  assert.equal(format.loss(0.0812), "0.0812");
  assert.equal(format.loss(123456), "1.23e+5");
  assert.equal(format.whole(1234), "1234");
  assert.equal(format.percent(0.9712), "97.1");
});

test("the date stands only with a time that is not of the last day", () => {
  const now = Date.parse("2026-05-02T12:00:00Z");
  assert.match(format.moment("2026-05-02T11:58:07Z", now), /^\d\d:\d\d:\d\d$/);
  assert.match(format.moment("2026-04-02T11:58:07Z", now), /2/);
  assert.ok(format.moment("2026-04-02T11:58:07Z", now).length > 8);
  assert.equal(format.moment("soon", now), "–");
});
