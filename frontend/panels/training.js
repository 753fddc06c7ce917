// Training: start, stop, so many iterations, and the three settings as the server confirms them.

import { percent, whole } from "../core/format.js";
import { SETTINGS } from "../core/state.js";
import { part, setFlag, setNote, setText } from "../dom.js";

const NOT_CONNECTED = "Not sent: there is no connection to the server.";
const HOW_TO_ADD = "Add data workers: make scale DATA_WORKERS=4, or docker compose up -d --scale data-worker=4.";

const TRAINER_WORDS = {
  training: "training",
  paused: "paused",
  "waiting for data": "waiting for data",
  none: "no trainer",
};

export function createTrainingPanel(store, send) {
  const renderRun = createRun(store, send);
  const settings = Object.keys(SETTINGS).map((key) => createSetting(store, send, key));
  return function render(state) {
    renderRun(state);
    for (const renderSetting of settings) renderSetting(state);
  };
}

function createRun(store, send) {
  const start = part("start");
  const stop = part("stop");
  const count = part("train-n-count");
  const trainer = document.querySelector("[data-part=trainer]");
  const words = document.querySelector("[data-part=progress-words]");
  const starvedNote = document.querySelector("[data-part=starved]");
  const error = document.querySelector("[data-part=run-error]");

  const command = (message) => {
    store.dispatch({ type: "set", slice: "run", error: send(message) ? null : NOT_CONNECTED });
  };
  start.addEventListener("click", () => command({ type: "Start" }));
  stop.addEventListener("click", () => command({ type: "Stop" }));
  document.querySelector("[data-part=train-n-form]").addEventListener("submit", (event) => {
    event.preventDefault();
    if (count.value === "") store.dispatch({ type: "set", slice: "run", error: "How many iterations? Give a number." });
    else command({ type: "Start", iterations: Number(count.value) });
  });

  return function render({ signal, run, starved }) {
    const running = signal?.training ?? false;
    setFlag(start, "quiet", running);
    setFlag(stop, "ready", running);
    setText(trainer, signal === null ? "" : (TRAINER_WORDS[signal.trainer] ?? signal.trainer));
    trainer.dataset.trainer = signal?.trainer ?? "";
    setText(part("iteration"), whole(signal?.iteration));
    setText(words, progressWords(signal));
    setNote(starvedNote, shortage(signal, starved));
    setNote(error, run.error);
  };
}

function progressWords(signal) {
  if (signal === null) return "";
  if (signal.training && Number.isFinite(signal.target_iteration)) return `Stops at iteration ${signal.target_iteration}.`;
  if (Number.isFinite(signal.test_acc)) return `It reads ${percent(signal.test_acc)} % of test digits rightly.`;
  return signal.iteration > 0 ? "" : "It has learnt nothing yet: press Start.";
}

/** What to say where training lacks data, else null. */
function shortage(signal, starved) {
  if (signal?.training && signal.data_workers === 0) return `Training needs data, and no data worker is running. ${HOW_TO_ADD}`;
  return starved ? `Training waits for data: the data workers cut batches more slowly than it uses them. ${HOW_TO_ADD}` : null;
}

function createSetting(store, send, key) {
  const row = document.querySelector(`[data-setting=${key}]`);
  const input = row.querySelector("input");
  const note = row.querySelector(".setting-note");
  let edited = false; // typed in and not yet sent: the server's value must not overwrite it

  function settle() {
    edited = false;
    if (input.value === "") refuse(`${row.querySelector("label").textContent} has to be a number.`);
    else if (send({ type: SETTINGS[key], value: Number(input.value) })) {
      store.dispatch({ type: "setting-sent", key, value: Number(input.value) });
    } else refuse(NOT_CONNECTED);
  }
  const refuse = (detail) => store.dispatch({ type: "setting-refused", key, detail });

  input.addEventListener("input", () => {
    edited = true;
    store.dispatch({ type: "setting-edited", key });
  });
  input.addEventListener("change", settle); // Enter, leaving the field, or its arrows
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    edited = false;
    input.value = String(store.state.signal?.[key] ?? "");
  });

  return function render({ signal, settings }) {
    const { pending, error } = settings[key];
    const shown = String((pending ?? signal?.[key]) || ""); // 0: the gateway does not know yet
    if (!(edited && document.activeElement === input) && input.value !== shown) input.value = shown;
    setFlag(row, "pending", pending !== null);
    setFlag(row, "error", error !== null);
    setText(note, error ?? (pending === null ? "" : "Asking the server…"));
  };
}
