// Draw: the sheet, its tools, the way back, and what is loaded onto it.

import { sample } from "../api.js";
import { blankSheet } from "../core/brush.js";
import { part, setNote, setText } from "../dom.js";
import { createGrid, paintOn } from "../grid.js";
import { followKeys } from "../grid_keys.js";
import { followImages } from "../image_drop.js";

/** Where Ctrl-Z and pasted text mean the text. */
const TEXT_FIELDS = "input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, [contenteditable]";

const NORMALISED = "Scaled and centred, as every digit that it trains on.";
const AS_DRAWN = "As it is, wherever it stands on the sheet.";

export function createDrawPanel(store) {
  const canvas = part("grid");
  const live = document.querySelector("[data-part=grid-live]");
  const say = (words) => setText(live, words);
  const grid = createSheet(store, canvas, say);
  const renderTools = createTools(store, say);
  const renderInput = createInputPreview(store);
  const loadButton = part("load-sample");
  const showButton = part("show-data");
  const glance = part("glance");
  const invitation = document.querySelector("[data-part=invitation]");
  const loaded = document.querySelector("[data-part=sample-label]");
  const error = document.querySelector("[data-part=sample-error]");

  showButton.addEventListener("click", () => {
    store.dispatch({ type: "set", slice: "numbers", shown: !store.state.numbers.shown, note: null });
  });
  loadButton.addEventListener("click", () => load(store, loadSample));
  followImages({
    sheet: document.querySelector("[data-panel=draw]"),
    input: part("load-image"),
    isText: (target) => target.closest?.(TEXT_FIELDS) != null,
    onFile: (file, name) => isShown(store) && load(store, () => loadImage(file, name)),
  });

  return function render(state) {
    const { drawing, sample: { busy, error: problem }, numbers } = state;
    grid.show(drawing.pixels);
    invitation.hidden = !drawing.blank;
    loadButton.disabled = busy;
    setText(showButton, numbers.shown ? "Hide data" : "Show data");
    showButton.setAttribute("aria-expanded", String(numbers.shown));
    setNote(loaded, loadedWords(drawing));
    setNote(error, problem);
    const digit = drawing.blank ? undefined : state.guess.answer?.digit;
    glance.hidden = digit === undefined;
    setText(glance.lastElementChild, String(digit ?? ""));
    renderTools(state);
    renderInput(state);
  };
}

function loadedWords({ label, source }) {
  if (label !== null) return `A test image; its label says ${label}.`;
  return source === null ? null : `Loaded ${source}.`;
}

const isShown = (store) => !store.state.view.hidden.includes("draw");

function createSheet(store, canvas, say) {
  const cursor = document.querySelector("[data-part=grid-cursor]");
  const hint = document.querySelector("[data-part=grid-keys]");
  const tool = () => store.state.pen.tool;
  const grid = createGrid(canvas, {
    tool,
    onStroke: (pixels, stroke) => store.dispatch({ type: "drawing", pixels, stroke }),
  });
  followKeys(canvas, cursor, {
    grid,
    tool,
    sheet: () => store.state.drawing.pixels,
    say,
    onActive: (is) => (hint.hidden = !is),
    clear: () => clear(store),
    leave: () => part(`tool-${tool()}`).focus(),
  });
  // At once, not with the next frame: a pen that is on the sheet draws on what was put there.
  store.subscribe(({ drawing }, previous) => drawing === previous.drawing || grid.show(drawing.pixels));
  return grid;
}

function clear(store) {
  store.dispatch({ type: "drawing", pixels: blankSheet() });
  store.dispatch({ type: "set", slice: "sample", error: null });
}

/** Thin, thick, eraser; undo, redo, clear. Returns what shows their state. */
function createTools(store, say) {
  const tools = [...document.querySelectorAll("[data-part=tools] input")];
  const back = part("undo");
  const forth = part("redo");
  const undo = () => {
    store.dispatch({ type: "undo" });
    say(`Undone; ${stepsLeft(store.state.drawing.past)} to undo.`);
  };
  const redo = () => {
    store.dispatch({ type: "redo" });
    say(`Done again; ${stepsLeft(store.state.drawing.future)} to redo.`);
  };

  for (const input of tools) {
    input.addEventListener("change", () => store.dispatch({ type: "set", slice: "pen", tool: input.value }));
  }
  back.addEventListener("click", undo);
  forth.addEventListener("click", redo);
  part("clear").addEventListener("click", () => clear(store));
  document.addEventListener("keydown", (event) => {
    const action = { z: event.shiftKey ? redo : undo, y: redo }[event.key.toLowerCase()];
    const chord = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (!chord || action === undefined || event.target.closest(TEXT_FIELDS) || !isShown(store)) return;
    event.preventDefault();
    action();
  });

  return function render({ pen, drawing }) {
    for (const input of tools) input.checked = input.value === pen.tool;
    setDisabled(back, drawing.past.length === 0);
    setDisabled(forth, drawing.future.length === 0);
  };
}

const stepsLeft = ({ length }) => (length === 0 ? "nothing more" : `${length} more`);

/** Not usable now, and yet keeping the focus of who pressed it last. */
function setDisabled(button, is) {
  if (button.getAttribute("aria-disabled") !== String(is)) button.setAttribute("aria-disabled", String(is));
}

/** What the network is given of the drawing, and the switch that sends it as drawn. */
function createInputPreview(store) {
  const words = document.querySelector("[data-part=input-words]");
  const canvas = part("input-preview");
  const raw = part("send-raw");
  let painted = null;
  raw.addEventListener("change", () => store.dispatch({ type: "set", slice: "view", raw: raw.checked }));

  return function render({ drawing, guess, view, onScreen }) {
    raw.checked = view.raw;
    if (onScreen.draw === false) return;
    const input = drawing.blank ? null : (guess.answer?.input ?? painted);
    setText(words, view.raw ? AS_DRAWN : NORMALISED);
    if (input === painted) return;
    painted = input;
    paintOn(canvas, input);
  };
}

/** What decodes pictures is fetched with the first one: most visitors draw. */
async function loadImage(file, name) {
  const { readImageFile } = await import("../image_file.js").catch(() => {
    throw new Error("The server cannot be reached: it has what is needed to read a picture.");
  });
  return readImageFile(file, name);
}

function loadSample() {
  return sample().then(({ image, target }) => ({ pixels: Float32Array.from(image.flat()), label: target }));
}

/** Put on the sheet what `read` resolves to; whoever drew on in the meantime keeps the drawing. */
async function load(store, read) {
  store.dispatch({ type: "set", slice: "sample", busy: true, error: null });
  const asked = store.state.drawing.revision;
  try {
    const what = await read();
    if (store.state.drawing.revision === asked) store.dispatch({ type: "drawing", ...what });
    store.dispatch({ type: "set", slice: "sample", busy: false });
  } catch (problem) {
    store.dispatch({ type: "set", slice: "sample", busy: false, error: problem.message });
  }
}
