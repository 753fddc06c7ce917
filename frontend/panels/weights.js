// Weights: keep them, fetch them as a file, bring others, start afresh, and the history to go back to.

import * as api from "../api.js";
import { liveEntry, versionBefore } from "../core/versions.js";
import { part, setBusy, setNote, setText } from "../dom.js";
import { saveFile } from "../save.js";
import { createHistory } from "./history.js";
import { createUpload } from "./upload.js";
import { createVersionList } from "./versions.js";

export function createWeightsPanel(store) {
  const act = createAct(store, createHistory(store));
  const renderers = [createTools(store, act), createUpload(store, act), createVersionList(store, act, download), createWords(store, act)];
  return function render(state) {
    for (const renderPart of renderers) renderPart(state);
  };
}

/**
 * `act(words, action)` does something with the weights, one thing at a time: `words` stand there while it goes on, then
 * the note that `action()` returns, or why it failed. Where it `replaces` the live weights, what was live can be had
 * back by one press. Resolves to whether it was done.
 */
function createAct(store, refresh) {
  const set = (fields) => store.dispatch({ type: "set", slice: "weights", ...fields });

  return async function act(words, action, { replaces = false } = {}) {
    if (store.state.weights.busy !== null) return false;
    const learnt = store.state.signal?.iteration > 0; // untrained weights are in no history
    set({ busy: words, note: null, error: null, undo: null, asked: null });
    let done = null;
    try {
      done = await action();
      set({ note: done.note });
    } catch (problem) {
      set(problem.name === "AbortError" ? { note: "Cancelled: nothing was changed." } : { error: problem.message });
    }
    set({ busy: null });
    await refresh();
    if (done !== null && replaces && learnt) set({ undo: versionBefore(store.state.weights.versions, done.version) });
    return done !== null;
  };
}

function createTools(store, act) {
  const name = part("weights-name");
  document.querySelector("[data-part=save-form]").addEventListener("submit", (event) => {
    event.preventDefault();
    act("Saving…", async () => {
      const { version } = await api.saveWeights(name.value.trim() || null);
      name.value = "";
      store.dispatch({ type: "set", slice: "weights", selected: version, page: 0 });
      return { note: `Saved as version ${version}.` };
    });
  });
  part("weights-download").addEventListener("click", () => act("Downloading…", () => download(null)));
  part("weights-reset").addEventListener("click", () => act("Starting afresh…", startAfresh, { replaces: true }));
  const buttons = ["weights-save", "weights-download", "weights-reset"].map(part);

  return function render({ weights }) {
    for (const button of buttons) setBusy(button, weights.busy !== null);
  };
}

async function startAfresh() {
  const { version } = await api.resetWeights();
  return { version, note: `Started afresh with version ${version}. What it had learnt is in the list: choose it there to go back.` };
}

/** What is live, and what came of the last action. */
function createWords(store, act) {
  const [version, undo] = ["version", "weights-undo"].map(part);
  const [kept, note, error, listError] = ["live-kept", "weights-note", "weights-error", "versions-error"].map((name) =>
    document.querySelector(`[data-part=${name}]`),
  );
  undo.addEventListener("click", () => {
    const before = store.state.weights.undo;
    act("Going back…", async () => {
      const answer = await api.restoreVersion(before);
      note.tabIndex = -1; // this button is about to go: the focus must not get lost
      note.focus();
      return { note: `What was live before, version ${before}, is live again, as version ${answer.version}.` };
    });
  });

  return function render({ weights, signal }) {
    setText(version, String(signal?.version ?? "–"));
    setText(kept, keptWords(weights, signal));
    setNote(note, weights.busy ?? weights.note);
    setNote(error, weights.error);
    setNote(listError, weights.listError);
    undo.hidden = weights.undo === null || weights.busy !== null;
  };
}

function keptWords({ versions, live }, signal) {
  if (signal === null || signal.training || live === null) return "";
  return liveEntry(versions, signal.version, signal) === null ? "not in the history yet" : "";
}

async function download(version) {
  const format = part("weights-format").value;
  const blob = await api.downloadWeights(format, version);
  const name = version === null ? `inkling.${format}` : `inkling-${version}.${format}`;
  saveFile(blob, name);
  return { note: `Downloaded ${name}.` };
}
