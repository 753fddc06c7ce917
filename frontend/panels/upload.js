// A file of weights in place of the live ones: by the button, or dropped on the panel.

import * as api from "../api.js";
import { percent } from "../core/format.js";
import { part, setFlag, setText } from "../dom.js";

/** File name ending to the content type of its format. */
const CONTENT_TYPES = {
  json: "application/json",
  safetensors: "application/vnd.safetensors",
  npz: "application/x-npz",
  onnx: "application/vnd.onnx",
};

export function createUpload(store, act) {
  const input = part("weights-upload");
  const [invitation, sending, words] = ["drop-invitation", "sending", "upload-words"].map((name) =>
    document.querySelector(`[data-part=${name}]`),
  );
  const [bar, cancel] = ["upload-progress", "upload-cancel"].map(part);
  const set = (upload) => store.dispatch({ type: "set", slice: "weights", upload });
  let stopper = null;

  async function send(file) {
    const type = CONTENT_TYPES[endingOf(file)];
    if (type === undefined) throw new Error(`${file.name} is not one of ${Object.keys(CONTENT_TYPES).join(", ")}.`);
    stopper = new AbortController();
    const onProgress = (share) => set({ name: file.name, share });
    try {
      onProgress(0);
      const { version } = await api.uploadWeights(file, type, { signal: stopper.signal, onProgress });
      return { version, note: `${file.name} is now version ${version}, and live. What was live before is in the list.` };
    } finally {
      set(null);
    }
  }

  async function take(files) {
    if (files.length === 0) return;
    if (store.state.weights.busy !== null) {
      store.dispatch({ type: "set", slice: "weights", error: "One thing at a time: try again when this is done." });
      return;
    }
    const hadFocus = input === document.activeElement;
    const one = () => (files.length === 1 ? send(files[0]) : Promise.reject(new Error("One file at a time, please.")));
    await act(`Uploading ${files[0].name}…`, one, { replaces: true });
    if (hadFocus && document.activeElement === document.body) requestAnimationFrame(() => input.focus({ preventScroll: true }));
  }

  input.addEventListener("change", () => take([...input.files]).finally(() => (input.value = "")));
  cancel.addEventListener("click", () => stopper.abort());
  takeDrops(document.querySelector("[data-panel=weights]"), take);

  return function render({ weights }) {
    const { upload } = weights;
    invitation.hidden = upload !== null;
    sending.hidden = upload === null;
    if (upload === null) return;
    const sent = upload.share === 1;
    setText(words, sent ? "All is sent, and being read…" : `${percent(upload.share)} % sent`);
    bar.value = upload.share;
    cancel.hidden = sent; // from here on the server decides
  };
}

const endingOf = ({ name }) => name.split(".").at(-1).toLowerCase();

/** Files that are dropped on `panel`, which shows that it takes them as soon as one is dragged over the page. */
function takeDrops(panel, take) {
  const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files") ?? false;
  const show = (inviting, over) => {
    setFlag(panel, "inviting", inviting);
    setFlag(panel, "over", over);
  };

  panel.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  panel.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
  document.addEventListener("dragenter", (event) => hasFiles(event) && show(true, panel.contains(event.target)));
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget === null && show(false, false));
  document.addEventListener("drop", () => show(false, false));
}
