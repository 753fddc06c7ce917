// Teach: one training step on the drawing, with the label that the person gives it.

import { tune } from "../api.js";
import * as format from "../core/format.js";
import { part, setNote, setText } from "../dom.js";

const NOTE = "One step on this drawing alone.";

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
    const { label } = state.drawing;
    if (label !== null && label !== previous.drawing.label) select.value = String(label);
  });

  return function render({ tune: { busy, loss: latest, error: problem } }) {
    button.disabled = busy;
    setText(loss, format.loss(latest));
    setText(note, busy ? "Teaching…" : NOTE);
    setNote(error, problem);
  };
}

async function teach(store, target) {
  const { drawing } = store.state;
  const set = (fields) => store.dispatch({ type: "set", slice: "tune", ...fields });
  if (drawing.blank) {
    set({ error: "Draw a digit first." });
    return;
  }
  set({ busy: true, error: null });
  try {
    const { loss } = await tune(drawing.pixels, target);
    set({ busy: false, loss });
  } catch (problem) {
    set({ busy: false, error: problem.message });
  }
}
