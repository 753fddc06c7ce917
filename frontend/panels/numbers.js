// The data: the 784 numbers of the drawing, readable and to take along.

import { copyImage, copyText } from "../clipboard.js";
import { PIXELS, SIDE } from "../core/brush.js";
import { curlLine, numbersOf } from "../core/drawing.js";
import { part, setFlag, setNote } from "../dom.js";
import { saveFile } from "../save.js";

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
  for (const [testid, take] of [["copy-data", copyJson], ["copy-png", copyPng], ["copy-curl", copyCurl]]) {
    part(testid).addEventListener("click", () => copy(store, take));
  }

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

async function copy(store, take) {
  const { drawing, view } = store.state;
  const note = await take(drawing.pixels, view);
  store.dispatch({ type: "set", slice: "numbers", note });
  setTimeout(() => {
    if (store.state.numbers.note === note) store.dispatch({ type: "set", slice: "numbers", note: null });
  }, RELEASE_MS);
}

const REFUSED = "This browser does not let the page copy.";

async function copyJson(pixels) {
  return (await copyText(JSON.stringify({ image: numbersOf(pixels) }))) ? "Copied, ready for POST /infer." : REFUSED;
}

async function copyCurl(pixels, { raw }) {
  return (await copyText(curlLine(location.origin, pixels, { raw }))) ? "Copied: paste it into a shell." : REFUSED;
}

/** Dark ink on white paper, 28 x 28, as anybody would expect it; POST /infer turns it round. */
async function copyPng(pixels) {
  const blob = pngOf(pixels);
  if (await copyImage(blob)) return "Copied as a picture of 28 × 28 pixels.";
  saveFile(await blob, "inkling-drawing.png");
  return "This browser does not copy pictures: saved as inkling-drawing.png.";
}

function pngOf(pixels) {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  pixels.forEach((ink, cell) => {
    const grey = Math.round((1 - ink) * 255);
    image.data.set([grey, grey, grey, 255], cell * 4);
  });
  context.putImageData(image, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
