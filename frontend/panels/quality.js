// How good is it? The network on the test set, measured by the server off the training path.

import * as api from "../api.js";
import { throttle } from "../core/coalesce.js";
import { mistakes } from "../core/evaluation.js";
import * as format from "../core/format.js";
import { part, setFlag, setNote, setText } from "../dom.js";
import { createConfusion } from "./confusion.js";
import { createGallery } from "./gallery.js";
import { createStrip } from "./strip.js";

const INTERVAL_MS = 1000;
const PATIENCE = 3; // answers without anything new, then it is asked more rarely
const RARELY = 5; // intervals
const NOT_YET = 503;

export function createQualityPanel(store) {
  const set = (fields) => store.dispatch({ type: "set", slice: "quality", ...fields });
  const measure = followEvaluations(store, set);
  const hold = part("quality-hold");
  hold.addEventListener("change", () => set({ held: hold.checked }));
  const renderConfusion = createConfusion(({ label, digit }) => {
    const chosen = store.state.quality.field;
    const again = chosen?.label === label && chosen.digit === digit; // pressed once more: let go
    set({ field: again ? null : { label, digit }, note: null, limit: null });
  });
  const renderGallery = createGallery(store, measure);
  const renderStrip = createStrip(store);
  const body = document.querySelector("[data-part=quality-body]");
  const empty = document.querySelector("[data-part=quality-empty]");
  const error = document.querySelector("[data-part=quality-error]");
  const heldWords = document.querySelector("[data-part=quality-held]");
  let drawn = null;

  return function render(state) {
    const { quality, onScreen } = state;
    if (!onScreen.quality) return;
    hold.checked = quality.held;
    setNote(error, quality.error);
    empty.hidden = quality.report !== null || quality.error !== null;
    body.hidden = quality.report === null;
    if (quality.report === null || quality === drawn) return;
    drawn = quality;
    renderFigures(quality.report);
    renderConfusion(quality.report, quality.field);
    renderGallery(state);
    renderStrip(state);
    setFlag(body, "held", quality.held);
    heldWords.hidden = !quality.held;
  };
}

function renderFigures({ test_acc, loss, confusion, count, version, iteration }) {
  setText(part("quality-accuracy"), format.fixed(test_acc * 100, 2));
  setText(part("quality-loss"), format.loss(loss));
  setText(part("quality-wrong"), String(mistakes(confusion)));
  setText(part("quality-count"), count.toLocaleString("en"));
  setText(part("quality-version"), String(version));
  setText(part("quality-iteration"), String(iteration));
}

/**
 * Fetch the newest evaluation while the panel can be seen, is not held still and there may be a newer one, at most once
 * a second. Returns what fetches it at once.
 */
function followEvaluations(store, set) {
  let busy = null; // the call that is under way
  let unchanged = 0; // answers in a row that said nothing new
  let skipped = 0;

  async function fetchNewest() {
    try {
      const report = await api.evaluation();
      const known = store.state.quality.report;
      unchanged = report.version === known?.version ? unchanged + 1 : 0;
      set(unchanged > 0 ? { error: null } : { report, error: null });
    } catch (problem) {
      unchanged = 0;
      // Before the first evaluation the panel explains itself: nothing is wrong.
      set({ error: problem.status === NOT_YET && store.state.quality.report === null ? null : problem.message });
    }
    busy = null;
  }
  const measure = () => (busy ??= fetchNewest());

  function check() {
    const { onScreen, quality, signal, connection } = store.state;
    const { report, held, error } = quality;
    if (!onScreen.quality || connection.status !== "connected") return;
    if (held && report !== null) return;
    if (report !== null && error === null && report.version === signal?.version) return;
    skipped += 1;
    if (unchanged >= PATIENCE && skipped < RARELY) return;
    skipped = 0;
    measure();
  }
  const soon = throttle(check, INTERVAL_MS);
  setInterval(() => store.state.onScreen.quality && soon(), INTERVAL_MS);
  store.subscribe((state, previous) => {
    const { onScreen, signal, quality } = state;
    if (signal?.test_acc !== previous.signal?.test_acc) unchanged = 0;
    const seen = onScreen.quality && !previous.onScreen.quality;
    const released = !quality.held && previous.quality.held;
    if (seen || released) soon();
  });
  return measure;
}
