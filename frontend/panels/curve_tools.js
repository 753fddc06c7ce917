// The tools above the curves: smoothing, scale, whole run, and taking them along.

import { part, setText } from "../dom.js";

/** Iterations that the curve is averaged over, by the places of the slider. */
const WINDOWS = [0, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** `charts` are those of the picture. Returns render(state). */
export function createCurveTools(store, charts) {
  const slider = part("smoothing");
  const words = document.querySelector("[data-part=smoothing-words]");
  const scale = part("loss-scale");
  const whole = part("zoom-reset");
  const setView = (fields) => store.dispatch({ type: "set", slice: "view", ...fields });

  slider.max = String(WINDOWS.length - 1);
  slider.addEventListener("input", () => setView({ smoothing: WINDOWS[Number(slider.value)] }));
  scale.addEventListener("click", () => setView({ logarithmic: !store.state.view.logarithmic }));
  whole.addEventListener("click", () => setView({ zoom: null }));
  // The code that makes files is fetched by those who want one.
  part("curve-csv").addEventListener("click", async () => (await import("../curve_files.js")).saveCsv(store.state));
  part("curve-png").addEventListener("click", async () => (await import("../curve_files.js")).savePicture(charts, store.state));

  return function render({ view }) {
    const text = windowWords(view.smoothing);
    setText(words, text);
    if (slider.getAttribute("aria-valuetext") !== text) {
      slider.value = String(placeOf(view.smoothing));
      slider.setAttribute("aria-valuetext", text);
    }
    scale.setAttribute("aria-pressed", String(view.logarithmic));
    if (whole.disabled !== (view.zoom === null)) whole.disabled = view.zoom === null;
  };
}

const windowWords = (window) => (window === 0 ? "nothing" : `${window} iterations`);

/** The place of the slider that is nearest; a link may name any number. */
function placeOf(window) {
  const place = WINDOWS.findIndex((other) => other >= window);
  return place === -1 ? WINDOWS.length - 1 : place;
}
