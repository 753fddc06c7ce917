// Some digits of the test set, and how the network reads them now: asked about once a second while they can be seen.

import * as api from "../api.js";
import { throttle } from "../core/coalesce.js";
import { pickIndices } from "../core/evaluation.js";
import { percent } from "../core/format.js";
import { part, setNote, setText } from "../dom.js";
import { createThumb, loadOnSheet } from "../thumbs.js";

const COUNT = 20;
const INTERVAL_MS = 1000;

export function createStrip(store) {
  const set = (fields) => store.dispatch({ type: "set", slice: "quality", strip: { ...store.state.quality.strip, ...fields } });
  const otherButton = part("other-digits");
  const words = document.querySelector("[data-part=strip-words]");
  const error = document.querySelector("[data-part=strip-error]");
  const thumbs = Array.from({ length: COUNT }, (_, nth) =>
    createThumb(() => {
      const { index, target, image } = store.state.quality.strip.samples[nth];
      loadOnSheet(store, { index, label: target, image });
    }),
  );
  part("strip").append(...thumbs.map(({ element }) => element));
  for (const thumb of thumbs) thumb.hide();
  const follow = createReader(store, set);
  otherButton.addEventListener("click", () => follow.choose());
  let drawn = null;

  return function render({ quality: { strip } }) {
    if (strip === drawn) return;
    drawn = strip;
    otherButton.disabled = strip.busy;
    setNote(error, strip.error);
    setText(words, wording(strip));
    thumbs.forEach((thumb, nth) => {
      const sample = strip.samples[nth];
      if (sample === undefined) thumb.hide();
      else thumb.show(contentOf(sample, strip.readings?.[nth]));
    });
  };
}

function wording({ samples, readings, iteration, busy }) {
  if (readings === null) return samples.length === 0 && !busy ? "" : "Reading…";
  const right = readings.filter(({ digit }, nth) => digit === samples[nth].target).length;
  return `${right} of ${samples.length} right after ${iteration} iterations.`;
}

function contentOf({ index, target, image }, reading) {
  const title = `Test image ${index}`;
  if (reading === undefined) return { image, title, words: "…", detail: "", name: `${title}, a ${target}`, wrong: false };
  const { digit, probabilities } = reading;
  const wrong = digit !== target;
  const sure = `${percent(probabilities[digit])} %`;
  return {
    image,
    title,
    wrong,
    words: `${wrong ? "✗" : "✓"} ${digit}`,
    detail: sure,
    name: `A ${target}, read ${wrong ? `wrongly as ${digit}` : "rightly"}, ${sure} sure. Test image ${index}: put it on the sheet`,
  };
}

/** Chooses the digits once they can be seen, and has them read again when the weights have changed. Returns {choose}. */
function createReader(store, set) {
  let body = null; // of the digits shown
  let reading = false;

  async function choose() {
    if (store.state.quality.strip.busy) return;
    set({ busy: true, error: null });
    try {
      const indices = pickIndices(store.state.quality.report.count, COUNT);
      const samples = await api.testSamples(indices);
      body = api.imagesBody(samples.map(({ image }) => image));
      set({ busy: false, samples: samples.map((sample, nth) => ({ ...sample, index: indices[nth] })), readings: null, version: null });
      await read();
    } catch (problem) {
      set({ busy: false, error: problem.message });
    }
  }

  async function read() {
    if (reading) return;
    reading = true;
    const asked = body;
    try {
      const { results, version, iteration } = await api.inferMany(asked);
      if (asked === body) set({ readings: results, version, iteration, error: null });
    } catch (problem) {
      set({ error: problem.message });
    }
    reading = false;
  }

  function check() {
    const { onScreen, quality, signal, connection } = store.state;
    const { strip, held, report } = quality;
    if (!onScreen.quality || report === null || connection.status !== "connected" || strip.busy) return;
    if (strip.samples.length === 0) choose();
    else if (strip.version === null || (!held && strip.version !== signal?.version)) read();
  }
  const soon = throttle(check, INTERVAL_MS);
  setInterval(() => store.state.onScreen.quality && soon(), INTERVAL_MS);
  store.subscribe((state, previous) => {
    const seen = state.onScreen.quality && !previous.onScreen.quality;
    if (seen || state.quality.report !== previous.quality.report) soon();
  });
  return { choose };
}
