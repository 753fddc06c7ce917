// When the list of versions is asked for: nothing tells the page that one was kept, but much lets it guess.

import * as api from "../api.js";

const EVERY_MS = 10_000; // another browser's save, a checkpoint, the test accuracy of an old version
const SETTLING_MS = 5_000; // so long after a change the history may follow it, and the test accuracy after that
const WHILE_SETTLING_MS = 1_000;

/** The panels that show versions. */
const READERS = ["weights", "quality"];
const REPLACEMENTS = new Set(["tune", "upload", "reset", "restore", "diverged"]);

/** Keep state.weights.versions fresh while somebody can see it. Returns `refresh()`, which resolves when it was asked for anew. */
export function createHistory(store) {
  let timer = null;
  let dueAt = Infinity;
  let settledAt = 0;
  let asked = 0;
  let last = null; // what was told of the run when something last changed

  async function refresh() {
    clearTimeout(timer);
    dueAt = Infinity;
    asked += 1;
    const nth = asked;
    try {
      const { versions, live } = await api.versions();
      if (nth === asked) store.dispatch({ type: "versions", versions, live });
    } catch (problem) {
      store.dispatch({ type: "set", slice: "weights", listError: `The list may be out of date: ${problem.message}` });
    }
    if (isSeen(store.state)) plan(performance.now() < settledAt ? WHILE_SETTLING_MS : EVERY_MS);
  }

  /** Ask in `ms`, or earlier if that was planned already. */
  function plan(ms) {
    const at = performance.now() + ms;
    if (at >= dueAt) return;
    dueAt = at;
    clearTimeout(timer);
    timer = setTimeout(() => {
      dueAt = Infinity;
      if (isSeen(store.state)) refresh();
    }, ms);
  }

  store.subscribe((state, previous) => {
    if (!isSeen(state)) return;
    const now = tellOf(state);
    if (now !== last) {
      last = now;
      settledAt = performance.now() + SETTLING_MS;
      plan(0);
    } else if (!isSeen(previous)) plan(0);
  });

  return () => {
    settledAt = performance.now() + SETTLING_MS;
    return refresh();
  };
}

const isSeen = ({ connection, onScreen }) => connection.status === "connected" && READERS.some((name) => onScreen[name]);

/** What the history may have followed: a start or an end of training, weights that were replaced, other weights at rest. */
function tellOf({ signal, curve }) {
  const mark = curve.marks.findLast(({ kind }) => REPLACEMENTS.has(kind));
  return `${mark?.kind} ${mark?.at} ${signal?.training ? "training" : signal?.version}`;
}
