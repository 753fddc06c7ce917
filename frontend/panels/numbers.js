// The data: the 784 numbers of the drawing, readable and to take along.

import { PIXELS } from "../core/brush.js";
import { part, setFlag, setNote } from "../dom.js";

const RELEASE_MS = 3000; // how long "Copied" stays

export function createNumbersPanel(store) {
  const panel = document.querySelector("[data-part=numbers]");
  const note = document.querySelector("[data-part=numbers-note]");
  const grid = part("data-numbers");
  const cells = Array.from({ length: PIXELS }, () => document.createElement("span"));
  for (const cell of cells) grid.append(cell, " ");
  let shownRevision = -1;

  part("hide-data").addEventListener("click", () => {
    store.dispatch({ type: "set", slice: "numbers", shown: false, note: null });
    part("show-data").focus();
  });
  part("copy-data").addEventListener("click", () => copy(store));

  return function render({ numbers, drawing }) {
    const opened = numbers.shown && panel.hidden;
    panel.hidden = !numbers.shown;
    setNote(note, numbers.note);
    if (!numbers.shown) return;
    if (shownRevision !== drawing.revision) drawing.pixels.forEach((ink, index) => fill(cells[index], ink));
    shownRevision = drawing.revision;
    if (opened) panel.scrollIntoView({ block: "nearest" });
  };
}

function fill(cell, ink) {
  const text = short(ink);
  if (cell.textContent === text) return;
  cell.textContent = text;
  cell.style.setProperty("--ink-strength", text);
  setFlag(cell, "zero", text === "0");
}

/** Two decimals without trailing zeros: 0, 0.5, 0.87, 1. */
function short(ink) {
  return String(Math.round(ink * 100) / 100);
}

async function copy(store) {
  const { pixels } = store.state.drawing;
  const json = JSON.stringify({ image: Array.from(pixels, (ink) => Math.round(ink * 1e4) / 1e4) });
  const note = (await write(json)) ? "Copied, ready for POST /infer." : "This browser does not let the page copy.";
  store.dispatch({ type: "set", slice: "numbers", note });
  setTimeout(() => {
    if (store.state.numbers.note === note) store.dispatch({ type: "set", slice: "numbers", note: null });
  }, RELEASE_MS);
}

/** Onto the clipboard; by the old way where the page is not on localhost or https, which the new one needs. */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
