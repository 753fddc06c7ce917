// The machine: its numbers, what to do where data is short, and a picture of it that is fetched when it is first seen.

import { NOTHING, whole } from "../core/format.js";
import { HOW_TO_ADD, shortage } from "../core/machine.js";
import { part, setNote, setText } from "../dom.js";

const RETRY_MS = 2000;

export function createMachinePanel(store) {
  const renderers = [createFacts(), createShortage(), createLatePicture(store)];
  return function render(state) {
    for (const renderPart of renderers) renderPart(state);
  };
}

function createFacts() {
  const reason = document.querySelector("[data-part=dataset-reason]");
  const total = document.querySelector("[data-part=cache-total]");

  return function render({ signal }) {
    if (signal === null) return;
    setText(part("dataset"), signal.dataset ?? NOTHING);
    setText(reason, signal.dataset_reason ?? "");
    setText(part("data-workers"), whole(signal.data_workers));
    setText(part("data-len"), whole(signal.data_len));
    setText(part("data-futures-len"), whole(signal.data_futures_len));
    setText(total, whole(signal.cache_size));
    setText(part("speed"), whole(signal.samples_per_second));
    setText(part("epoch"), whole(signal.epoch));
  };
}

/** Where data is short: why, and what to do. The panel Training says it aloud. */
function createShortage() {
  const note = document.querySelector("[data-part=machine-shortage]");
  return (state) => {
    const lacking = shortage(state);
    setNote(note, lacking === null ? null : `${lacking} ${HOW_TO_ADD}`);
  };
}

/** The picture and the table: 12 kB that the first look at the page does without. */
function createLatePicture(store) {
  let renderPicture = null;
  let asked = false;

  async function fetchPicture() {
    asked = true;
    const picture = await import("./machine_picture.js").catch(() => null);
    if (picture === null) {
      setTimeout(() => (asked = false), RETRY_MS); // the server is away; the panel's numbers are here all the same
      return;
    }
    renderPicture = picture.createPicture(store);
    renderPicture(store.state);
  }

  return function render(state) {
    if (!asked && state.onScreen.machine) fetchPicture();
    renderPicture?.(state);
  };
}
