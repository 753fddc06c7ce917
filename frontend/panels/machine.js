// The machine: the data set, the workers and the two lists between them and the trainer.

import { NOTHING, whole } from "../core/format.js";
import { part, setText } from "../dom.js";

export function createMachinePanel() {
  const reason = document.querySelector("[data-part=dataset-reason]");
  const [ready, coming] = document.querySelector("[data-part=gauge]").children;
  const total = document.querySelector("[data-part=cache-total]");
  const speed = document.querySelector("[data-part=speed]");
  const epoch = document.querySelector("[data-part=epoch]");

  return function render({ signal }) {
    if (signal === null) return;
    setText(part("dataset"), signal.dataset ?? NOTHING);
    setText(reason, signal.dataset_reason ?? "");
    setText(part("data-workers"), whole(signal.data_workers));
    setText(part("data-len"), whole(signal.data_len));
    setText(part("data-futures-len"), whole(signal.data_futures_len));
    setText(total, whole(signal.cache_size));
    ready.style.width = share(signal.data_len, signal.cache_size);
    coming.style.width = share(signal.data_futures_len, signal.cache_size);
    setText(speed, whole(signal.samples_per_second));
    setText(epoch, whole(signal.epoch));
  };
}

function share(part, total) {
  return `${Math.min(100, (100 * part) / Math.max(1, total))}%`;
}
