// First steps: three things to do, ticked off as they are done; shown once to each visitor.

import { part, setFlag } from "../dom.js";

const SEEN = "inkling-first-steps";

/** What counts as each step's having been done, in order, by the state now and the one that the visitor found. */
const STEPS = [
  ({ drawing }) => !drawing.blank,
  ({ signal }) => signal?.training ?? false,
  ({ signal, tune }, found) =>
    tune.loss !== null || (found !== null && ["lrate", "batch_size", "cache_size"].some((key) => signal[key] !== found[key])),
];

export function createSteps(store) {
  const strip = document.querySelector("[data-part=steps]");
  const items = [...strip.querySelectorAll("li")];
  const done = STEPS.map(() => false);
  let found = null; // the first signal that came
  let shown = null;

  part("dismiss-steps").addEventListener("click", () => {
    shown = false;
    strip.hidden = true;
    part("grid").focus({ preventScroll: true });
  });

  return function render(state) {
    shown ??= !state.view.embed && !wasSeen();
    if (!shown) return;
    strip.hidden = false;
    found ??= state.signal;
    STEPS.forEach((isDone, k) => {
      done[k] ||= isDone(state, found);
      setFlag(items[k], "done", done[k]);
      setFlag(items[k], "now", !done[k] && done.slice(0, k).every(Boolean));
    });
  };
}

/** Whether this browser has shown them before; it remembers that from now on. Where it may not remember, they are shown. */
function wasSeen() {
  try {
    const seen = localStorage.getItem(SEEN) !== null;
    localStorage.setItem(SEEN, "1");
    return seen;
  } catch {
    return false;
  }
}
