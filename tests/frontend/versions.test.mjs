import assert from "node:assert/strict";
import test from "node:test";
import {
  NEWEST_FIRST,
  PAGE_SIZE,
  accuracyShare,
  ago,
  bestVersion,
  liveEntry,
  mergeVersions,
  neighbourOf,
  nextSort,
  pageOf,
  sortVersions,
  versionBefore,
} from "../../frontend/core/versions.js";

const entry = (version, fields = {}) => ({
  version,
  iteration: 10 * version,
  loss: null,
  test_acc: null,
  origin: "save",
  name: null,
  created: "2026-01-01T12:00:00.000+00:00",
  ...fields,
});
const numbers = (versions) => versions.map(({ version }) => version);

test("what did not change stays the same object, and the whole list where nothing did", () => {
  const before = [entry(2), entry(1)];
  assert.equal(mergeVersions(before, [entry(2), entry(1)]), before);
  const merged = mergeVersions(before, [entry(3), entry(2, { test_acc: 0.9 }), entry(1)]);
  assert.deepEqual(numbers(merged), [3, 2, 1]);
  assert.notEqual(merged[1], before[0]);
  assert.equal(merged[2], before[1]);
  assert.deepEqual(numbers(mergeVersions(before, [entry(1)])), [1]);
});

test("newest first, and any column either way, with what is unknown last", () => {
  const versions = [entry(4, { test_acc: 0.9 }), entry(3), entry(2, { test_acc: 0.97 }), entry(1, { test_acc: 0.9 })];
  assert.deepEqual(numbers(sortVersions(versions.toReversed(), NEWEST_FIRST)), [4, 3, 2, 1]);
  const best = nextSort(NEWEST_FIRST, "test_acc");
  assert.deepEqual(best, { key: "test_acc", descending: true });
  assert.deepEqual(numbers(sortVersions(versions, best)), [2, 4, 1, 3]);
  assert.deepEqual(numbers(sortVersions(versions, nextSort(best, "test_acc"))), [4, 1, 2, 3]);
  assert.deepEqual(nextSort(best, "loss"), { key: "loss", descending: false });
});

test("origins are sorted by the words that are shown", () => {
  const versions = [entry(3, { origin: "tune" }), entry(2, { origin: "checkpoint" }), entry(1, { origin: "save" })];
  assert.deepEqual(numbers(sortVersions(versions, { key: "origin", descending: false })), [2, 1, 3]); // taught comes after saved
});

test("a long list has pages, and a page that is not there any more is the last one", () => {
  const versions = Array.from({ length: PAGE_SIZE + 3 }, (_, k) => entry(k + 1));
  const { shown, ...rest } = pageOf(versions, 7);
  assert.deepEqual(numbers(shown), [PAGE_SIZE + 1, PAGE_SIZE + 2, PAGE_SIZE + 3]);
  assert.deepEqual(rest, { page: 1, first: PAGE_SIZE + 1, last: PAGE_SIZE + 3, total: PAGE_SIZE + 3 });
  assert.equal(pageOf(versions, -1).last, PAGE_SIZE);
  assert.deepEqual(pageOf([], 0), { shown: [], page: 0, first: 0, last: 0, total: 0 });
});

test("the best has the highest test accuracy, if any has a lower one", () => {
  assert.equal(bestVersion([]), null);
  assert.equal(bestVersion([entry(1, { test_acc: 0.5 }), entry(2)]), null);
  assert.equal(bestVersion([entry(3), entry(2, { test_acc: 0.6 }), entry(1, { test_acc: 0.5 })]), 2);
  assert.equal(bestVersion([entry(1, { test_acc: 0.6 }), entry(2, { test_acc: 0.6 }), entry(3, { test_acc: 0.5 })]), 2);
});

test("half a bar is one mistake in ten, a whole one is one in a hundred or fewer", () => {
  assert.equal(accuracyShare(null), null);
  assert.equal(Math.abs(accuracyShare(0)), 0);
  assert.ok(Math.abs(accuracyShare(0.9) - 0.5) < 1e-9);
  assert.ok(accuracyShare(0.97) - accuracyShare(0.96) > 0.05);
  assert.equal(accuracyShare(1), 1);
});

test("minutes are said for an hour", () => {
  const created = "2026-01-01T12:00:00.000+00:00";
  const at = (minutes) => Date.parse(created) + minutes * 60_000;
  assert.equal(ago(created, at(-3)), "just now");
  assert.equal(ago(created, at(0.9)), "just now");
  assert.equal(ago(created, at(59.5)), "59 min ago");
  assert.equal(ago(created, at(60)), "");
  assert.equal(ago("no time", at(0)), "");
});

test("the live entry is told by its version, or at rest by its place in the training", () => {
  const versions = [entry(9, { loss: 0.3 }), entry(8, { loss: 0.3, iteration: 90 }), entry(1)];
  const rest = { training: false, iteration: 90, loss: 0.3 };
  assert.equal(liveEntry(versions, 8, rest).version, 8);
  assert.equal(liveEntry(versions, 12, rest).version, 9);
  assert.equal(liveEntry([entry(11, { iteration: 90 }), ...versions], 12, rest).version, 11); // uploaded
  assert.equal(liveEntry(versions, 12, { ...rest, training: true }), null);
  assert.equal(liveEntry(versions, 12, { ...rest, iteration: 91 }), null);
  assert.equal(liveEntry(versions, 12, { ...rest, loss: 0.2 }), null);
  assert.equal(liveEntry(versions, 12, null), null);
  assert.equal(liveEntry([], 12, rest), null);
});

test("what was live before, and what to choose when one goes", () => {
  const versions = [entry(9), entry(4), entry(7)];
  assert.equal(versionBefore(versions, 9), 7);
  assert.equal(versionBefore(versions, 4), null);
  assert.equal(neighbourOf(versions, 9), 4);
  assert.equal(neighbourOf(versions, 7), 4);
  assert.equal(neighbourOf([entry(9)], 9), null);
});
