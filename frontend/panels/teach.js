// Teach: one training step on the drawing, with the label that the person gives it; before and after side by side.

import { tune } from "../api.js";
import * as format from "../core/format.js";
import { part, setFlag, setNote, setText } from "../dom.js";

export function createTeachPanel(store) {
  const form = document.querySelector("[data-part=teach]");
  const select = part("tune-label");
  const button = part("tune");
  const loss = part("tune-loss");
  const note = document.querySelector("[data-part=tune-note]");
  const error = document.querySelector("[data-part=tune-error]");
  for (let digit = 0; digit < 10; digit += 1) select.append(new Option(String(digit), String(digit)));

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    teach(store, Number(select.value));
  });
  store.subscribe((state, previous) => {
    const { label, revision } = state.drawing;
    if (revision === previous.drawing.revision) return;
    if (label !== null) select.value = String(label);
    // What it said of another drawing is no "before" of this one.
    if (state.tune.before !== null) store.dispatch({ type: "set", slice: "tune", before: null });
  });

  return function render(state) {
    const { busy, loss: latest, error: problem } = state.tune;
    button.disabled = busy;
    setFlag(button, "pending", busy);
    setText(loss, format.loss(latest));
    setText(note, wording(state));
    setNote(error, problem);
  };
}

function wording({ tune: { busy, before, label }, guess: { answer } }) {
  if (busy) return "Teaching…";
  if (before === null || answer === null) return "One step on this drawing alone.";
  const sure = ({ probabilities }) => `${format.percent(probabilities[label])} %`;
  return `For ${label}: ${sure(before)} before (the marks on the bars), ${sure(answer)} now.`;
}

async function teach(store, label) {
  const { drawing, guess, view } = store.state;
  const set = (fields) => store.dispatch({ type: "set", slice: "tune", ...fields });
  if (drawing.blank) {
    set({ error: "Draw a digit first." });
    return;
  }
  const before = guess.answer;
  set({ busy: true, error: null });
  try {
    const { loss } = await tune(drawing.pixels, label, { raw: view.raw });
    const same = store.state.drawing.revision === drawing.revision;
    set({ busy: false, loss, label, before: same ? before : null });
  } catch (problem) {
    set({ busy: false, error: problem.message });
  }
}
