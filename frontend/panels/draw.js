// Draw: the sheet, its buttons, and the sample that was loaded.

import { sample } from "../api.js";
import { blankSheet } from "../core/brush.js";
import { part, setNote, setText } from "../dom.js";
import { createGrid } from "../grid.js";

export function createDrawPanel(store) {
  const grid = createGrid(part("grid"), (pixels) => store.dispatch({ type: "drawing", pixels }));
  const loadButton = part("load-sample");
  const showButton = part("show-data");
  const invitation = document.querySelector("[data-part=invitation]");
  const label = document.querySelector("[data-part=sample-label]");
  const error = document.querySelector("[data-part=sample-error]");

  part("clear").addEventListener("click", () => {
    store.dispatch({ type: "drawing", pixels: blankSheet() });
    store.dispatch({ type: "set", slice: "sample", error: null });
  });
  showButton.addEventListener("click", () => {
    store.dispatch({ type: "set", slice: "numbers", shown: !store.state.numbers.shown, note: null });
  });
  loadButton.addEventListener("click", () => loadSample(store));

  return function render({ drawing, sample: { busy, error: problem }, numbers }) {
    grid.show(drawing.pixels);
    invitation.hidden = !drawing.blank;
    loadButton.disabled = busy;
    setText(showButton, numbers.shown ? "Hide data" : "Show data");
    showButton.setAttribute("aria-expanded", String(numbers.shown));
    setNote(label, drawing.label === null ? null : `A test image; its label says ${drawing.label}.`);
    setNote(error, problem);
  };
}

async function loadSample(store) {
  store.dispatch({ type: "set", slice: "sample", busy: true, error: null });
  const asked = store.state.drawing.revision;
  try {
    const { image, target } = await sample();
    // Whoever drew on in the meantime keeps the drawing.
    if (store.state.drawing.revision === asked) {
      store.dispatch({ type: "drawing", pixels: Float32Array.from(image.flat()), label: target });
    }
    store.dispatch({ type: "set", slice: "sample", busy: false });
  } catch (problem) {
    store.dispatch({ type: "set", slice: "sample", busy: false, error: problem.message });
  }
}
