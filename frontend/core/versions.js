// The history of the weights: its order, which one is best, and how old each is. No DOM here.

export const NEWEST_FIRST = Object.freeze({ key: "version", descending: true });

/** Why a version was kept, in words. */
const ORIGINS = {
  checkpoint: "checkpoint",
  tune: "taught",
  reset: "reset",
  restore: "restored",
  upload: "uploaded",
  save: "saved",
};

/** What is best stands first when a column is chosen: the lowest loss, the highest of all other numbers. */
const ASCENDING_FIRST = new Set(["loss", "origin"]);

const MINUTE_MS = 60_000;
const MINUTES_SAID = 60; // after an hour the clock says more than "64 min ago"

export const originWords = (origin) => ORIGINS[origin] ?? origin;

/** The versions of `now`, where an entry that did not change is the same object as in `before`: so one sees what changed. */
export function mergeVersions(before, now) {
  const known = new Map(before.map((entry) => [entry.version, entry]));
  const merged = now.map((entry) => (isSame(known.get(entry.version), entry) ? known.get(entry.version) : entry));
  const unchanged = merged.length === before.length && merged.every((entry, k) => entry === before[k]);
  return unchanged ? before : merged;
}

function isSame(one, other) {
  return one !== undefined && Object.keys(other).every((key) => one[key] === other[key]);
}

/** What to sort by when the head of the column `key` is pressed: the other way round where it was sorted by that. */
export function nextSort({ key: current, descending }, key) {
  return { key, descending: key === current ? !descending : !ASCENDING_FIRST.has(key) };
}

/** A sorted copy. Where a value is not known the version comes last; among equals the newest comes first. */
export function sortVersions(versions, { key, descending }) {
  const direction = descending ? -1 : 1;
  return versions.toSorted((a, b) => {
    const [left, right] = [valueOf(a, key), valueOf(b, key)];
    if (left === right) return b.version - a.version;
    if (left === null || right === null) return left === null ? 1 : -1;
    return left < right ? -direction : direction;
  });
}

const valueOf = (entry, key) => (key === "origin" ? originWords(entry.origin) : (entry[key] ?? null));

export const PAGE_SIZE = 50; // as many rows as a slow machine moves without a jerk

/** One page of a sorted list: {shown, page, first, last, total}; `first` and `last` count from 1, `page` is the last one if it is beyond. */
export function pageOf(sorted, page) {
  const total = sorted.length;
  const there = Math.max(0, Math.min(page, Math.ceil(total / PAGE_SIZE) - 1));
  const shown = sorted.slice(there * PAGE_SIZE, (there + 1) * PAGE_SIZE);
  return { shown, page: there, first: Math.min(total, there * PAGE_SIZE + 1), last: there * PAGE_SIZE + shown.length, total };
}

/** The version with the highest test accuracy, the newest of equals; null where none is better than another. */
export function bestVersion(versions) {
  const ranked = sortVersions(versions, { key: "test_acc", descending: true }).filter(({ test_acc }) => Number.isFinite(test_acc));
  return ranked.length > 0 && ranked.at(-1).test_acc < ranked[0].test_acc ? ranked[0].version : null;
}

/**
 * How much of its bar a test accuracy fills, 0..1. Each half means ten times fewer mistakes (90 % fill one half, 99 % both), so that 96 and
 * 97 of 100, which are far apart for a network, look it. Null where it is not known.
 */
export function accuracyShare(test_acc) {
  if (!Number.isFinite(test_acc)) return null;
  return Math.min(1, -Math.log10(Math.max(1 - test_acc, 1e-9)) / 2);
}

/** "just now", "5 min ago"; empty after an hour, and where the time is none. `created` is an ISO time, `now` in ms. */
export function ago(created, now) {
  const minutes = Math.floor((now - Date.parse(created)) / MINUTE_MS);
  if (Number.isNaN(minutes) || minutes >= MINUTES_SAID) return "";
  return minutes < 1 ? "just now" : `${minutes} min ago`; // also where the server's clock is ahead of ours
}

/**
 * The entry of `versions` (newest first) whose weights are the live ones, or null. `live` is the version of these. The trainer
 * publishes weights that it has taken over once more, under another number: at rest the newest entry is what it took over,
 * if it stands at the same place in the training (`signal`).
 */
export function liveEntry(versions, live, signal) {
  const exact = versions.find(({ version }) => version === live);
  if (exact !== undefined || signal === null || signal.training) return exact ?? null;
  const newest = versions.find(({ version }) => version <= live);
  if (newest === undefined || newest.iteration !== signal.iteration) return null;
  return newest.loss === null || newest.loss === signal.loss ? newest : null; // what is uploaded or reset has no loss of its own
}

/** The number of the newest version older than `version`, or null: what was live before it, if it was put in its place. */
export function versionBefore(versions, version) {
  const older = versions.map((entry) => entry.version).filter((number) => number < version);
  return older.length === 0 ? null : Math.max(...older);
}

/** Which version to choose when `version` goes: its neighbour in the sorted list. */
export function neighbourOf(sorted, version) {
  const at = sorted.findIndex((entry) => entry.version === version);
  return (sorted[at + 1] ?? sorted[at - 1])?.version ?? null;
}
