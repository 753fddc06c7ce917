// The machine: its numbers, and what to do where data is short. The picture of it, machine_picture.js, comes later.

import { NOTHING, whole } from "../core/format.js";
import { HOW_TO_ADD, shortage } from "../core/machine.js";
import { part, setNote, setText } from "../dom.js";

export function createMachinePanel() {
  const renderers = [createFacts(), createShortage()];
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
