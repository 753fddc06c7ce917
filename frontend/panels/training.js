// Training: start, stop, a step, so many iterations, afresh; and the three settings. Each waits for the server's word.

import * as api from "../api.js";
import { latestOnly } from "../core/coalesce.js";
import { percent, whole } from "../core/format.js";
import { rateAt, sliderAt } from "../core/learning_rate.js";
import { HOW_TO_ADD, shortage } from "../core/machine.js";
import { remaining } from "../core/progress.js";
import { SETTINGS } from "../core/state.js";
import { part, setFlag, setNote, setText } from "../dom.js";

const TRAINER_WORDS = {
  training: "training",
  paused: "paused",
  "waiting for data": "waiting for data",
  none: "no trainer",
};

export function createTrainingPanel(store) {
  const renderers = [
    createTransport(store),
    createProgress(),
    ...Object.keys(SETTINGS).map((key) => createSetting(store, key)),
    createSlider(),
  ];
  return function render(state) {
    for (const renderPart of renderers) renderPart(state);
  };
}

/** The buttons. Each is pending from its press until the server has done what it asks for. */
function createTransport(store) {
  const count = part("train-n-count");
  const error = document.querySelector("[data-part=run-error]");
  const set = (fields) => store.dispatch({ type: "set", slice: "run", ...fields });

  async function command(name, call) {
    set({ pending: name, error: null });
    try {
      store.dispatch({ type: "confirmed", answer: await call() });
    } catch (problem) {
      set({ error: problem.message });
    }
    set({ pending: null });
  }

  const actions = {
    start: () => command("start", () => api.control({ type: "Start" })),
    stop: () => command("stop", () => api.control({ type: "Stop" })),
    step: () => command("step", () => api.control({ type: "Start", iterations: 1 })),
    "train-n": () => {
      if (count.value === "") set({ error: "How many iterations? Give a number." });
      else command("train-n", () => api.control({ type: "Start", iterations: Number(count.value) }));
    },
    reset: () => command("reset", () => api.resetWeights()),
  };
  const buttons = Object.entries(actions).map(([name, action]) => {
    const button = part(name);
    button.closest("form").addEventListener("submit", (event) => event.preventDefault());
    button.addEventListener("click", action);
    return { name, button };
  });

  return function render({ signal, run }) {
    const running = signal?.training ?? false;
    setFlag(part("start"), "quiet", running);
    setFlag(part("stop"), "ready", running);
    for (const { name, button } of buttons) {
      setFlag(button, "pending", run.pending === name);
      button.disabled = run.pending !== null && name !== "stop"; // whatever is under way: stop can be asked for
    }
    setNote(error, run.error);
  };
}

function createProgress() {
  const trainer = document.querySelector("[data-part=trainer]");
  const words = document.querySelector("[data-part=progress-words]");
  const starvedNote = document.querySelector("[data-part=starved]");
  const bar = part("progress");
  const iteration = part("iteration");

  return function render({ signal, starved }) {
    setText(trainer, signal === null ? "" : (TRAINER_WORDS[signal.trainer] ?? signal.trainer));
    trainer.dataset.trainer = signal?.trainer ?? "";
    setText(iteration, whole(signal?.iteration));
    setText(words, progressWords(signal));
    const lacking = shortage({ signal, starved });
    setNote(starvedNote, lacking === null ? null : `${lacking} ${HOW_TO_ADD}`);
    const left = remaining(signal);
    bar.hidden = left === null;
    if (left !== null) bar.value = left.share;
  };
}

function progressWords(signal) {
  if (signal === null) return "";
  const left = remaining(signal);
  if (left !== null) return left.words;
  if (Number.isFinite(signal.test_acc)) return `It reads ${percent(signal.test_acc)} % of test digits rightly.`;
  return signal.iteration > 0 ? "" : "It has learnt nothing yet: press Start.";
}

/** A number that the server keeps: pending from the edit until the server has it, then what the server says. */
function createSetting(store, key) {
  const row = document.querySelector(`[data-setting=${key}]`);
  const input = row.querySelector("input[type=number]");
  const note = row.querySelector(".setting-note");
  let edited = false; // changed and not yet sent: the server's value must not overwrite it

  const asker = latestOnly({
    send: (value) => api.control({ type: SETTINGS[key], value }),
    onAnswer: (answer, value) => {
      store.dispatch({ type: "confirmed", answer });
      store.dispatch({ type: "setting-settled", key, value });
    },
    onError: (problem) => store.dispatch({ type: "setting-refused", key, detail: problem.message }),
  });

  function settle() {
    edited = false;
    if (input.value === "") {
      const name = row.querySelector("label").textContent;
      store.dispatch({ type: "setting-refused", key, detail: `${name} has to be a number.` });
      return;
    }
    const value = Number(input.value);
    store.dispatch({ type: "setting-sent", key, value });
    asker.ask(value);
  }

  input.addEventListener("input", () => {
    edited = true;
    store.dispatch({ type: "setting-edited", key });
  });
  input.addEventListener("change", settle); // Enter, leaving the field, its arrows, or the slider
  input.addEventListener("blur", () => { edited = false; }); // typed, and typed back: no change to send
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    edited = false;
    input.value = String(store.state.signal?.[key] ?? "");
  });

  return function render({ signal, settings }) {
    const { pending, error } = settings[key];
    const shown = String((pending ?? signal?.[key]) || ""); // 0: the gateway does not know yet
    if (!edited && input.value !== shown) input.value = shown;
    setFlag(row, "pending", pending !== null);
    setFlag(row, "error", error !== null);
    setText(note, error ?? (pending === null ? "" : "Asking the server…"));
  };
}

/** The learning rate as a slider by powers of ten: it moves the number beside it, and sends it when it is let go. */
function createSlider() {
  const slider = part("learning-rate-slider");
  const input = part("learning-rate");
  let held = false;
  let shown = null;

  slider.addEventListener("input", () => {
    held = true;
    shown = null;
    input.value = String(rateAt(Number(slider.value)));
    slider.setAttribute("aria-valuetext", input.value);
    input.dispatchEvent(new Event("input"));
  });
  slider.addEventListener("change", () => {
    held = false;
    input.dispatchEvent(new Event("change"));
  });

  return function render({ signal, settings }) {
    const rate = settings.lrate.pending ?? signal?.lrate;
    if (held || !(rate > 0)) return;
    if (shown === rate) return;
    shown = rate;
    slider.value = String(sliderAt(rate));
    slider.setAttribute("aria-valuetext", String(rate));
  };
}
