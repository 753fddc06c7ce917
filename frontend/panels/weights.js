// Weights: save, download, upload, reset, and the history to go back to.

import * as api from "../api.js";
import { part, setNote, setText } from "../dom.js";
import { createVersionList } from "./versions.js";

const REFRESH_MS = 10_000;

/** File name ending to the content type of its format. */
const CONTENT_TYPES = {
  json: "application/json",
  safetensors: "application/vnd.safetensors",
  npz: "application/x-npz",
  onnx: "application/vnd.onnx",
};

export function createWeightsPanel(store) {
  const set = (fields) => store.dispatch({ type: "set", slice: "weights", ...fields });
  const refresh = () => loadVersions(store, set);
  const buttons = connectTools(store, set, refresh);
  const renderList = createVersionList(store, { act: (words, action) => act(set, refresh, words, action), download });
  const note = document.querySelector("[data-part=weights-note]");
  const error = document.querySelector("[data-part=weights-error]");

  setInterval(() => document.hidden || store.state.connection.status !== "connected" || refresh(), REFRESH_MS);
  store.subscribe((state, previous) => {
    const back = state.connection.status === "connected" && previous.connection.status !== "connected";
    const resetElsewhere = (state.signal?.iteration ?? 0) < (previous.signal?.iteration ?? 0);
    if (back || resetElsewhere) refresh();
  });

  return function render(state) {
    const { weights, signal } = state;
    setText(part("version"), String(signal?.version ?? "–"));
    for (const button of buttons) button.disabled = weights.busy !== null;
    setNote(note, weights.busy ?? weights.note);
    setNote(error, weights.error);
    renderList(state);
  };
}

/** Listeners of everything above the list; returns what is disabled while something is under way. */
function connectTools(store, set, refresh) {
  const name = part("weights-name");
  const upload = part("weights-upload");

  document.querySelector("[data-part=save-form]").addEventListener("submit", (event) => {
    event.preventDefault();
    act(set, refresh, "Saving…", async () => {
      const { version } = await api.saveWeights(name.value.trim() || null);
      name.value = "";
      set({ selected: version });
      return `Saved as version ${version}.`;
    });
  });
  part("weights-download").addEventListener("click", () => act(set, refresh, "Downloading…", () => download(null)));
  upload.addEventListener("change", () => {
    const [file] = upload.files;
    if (file !== undefined) act(set, refresh, `Uploading ${file.name}…`, () => send(file)).finally(() => (upload.value = ""));
  });
  const reset = part("weights-reset");
  reset.addEventListener("click", () =>
    act(set, refresh, "Starting afresh…", async () => {
      const { version } = await api.resetWeights();
      return `Started afresh with version ${version}. What it had learnt is in the list: choose it there to go back.`;
    }),
  );
  return [part("weights-save"), part("weights-download"), upload, reset];
}

/** Do something with the weights: `words` while it goes on, then what it returns, or why it failed. */
async function act(set, refresh, words, action) {
  set({ busy: words, note: null, error: null });
  try {
    set({ note: await action() });
  } catch (problem) {
    set({ error: problem.message });
  }
  set({ busy: null });
  await refresh();
}

async function loadVersions(store, set) {
  try {
    const { versions, live } = await api.versions();
    store.dispatch({ type: "versions", versions, live });
  } catch (problem) {
    set({ error: problem.message });
  }
}

async function send(file) {
  const ending = file.name.split(".").at(-1).toLowerCase();
  const type = CONTENT_TYPES[ending];
  if (type === undefined) throw new Error(`${file.name} is not one of ${Object.keys(CONTENT_TYPES).join(", ")}.`);
  const { version } = await api.uploadWeights(file, type);
  return `${file.name} is now version ${version}.`;
}

async function download(version) {
  const format = part("weights-format").value;
  const blob = await api.downloadWeights(format, version);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = version === null ? `inkling.${format}` : `inkling-${version}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // long after the browser has taken it
  return `Downloaded ${link.download}.`;
}
