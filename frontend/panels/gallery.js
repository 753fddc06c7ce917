// Images of the test set: those of one field of the confusion matrix, or the worst mistakes. One press puts one on the sheet.

import * as api from "../api.js";
import { latestOnly } from "../core/coalesce.js";
import { counted } from "../core/evaluation.js";
import { percent } from "../core/format.js";
import { part, setFlag, setNote, setText } from "../dom.js";
import { createThumb, loadOnSheet } from "../thumbs.js";

const FIRST = matchMedia("(max-width: 700px)").matches ? 20 : 32; // four rows
const MOST = 96;
const GONE = 404; // this evaluation is no longer kept

/** `measure()` fetches the newest evaluation (a promise). */
export function createGallery(store, measure) {
  const set = (fields) => store.dispatch({ type: "set", slice: "quality", ...fields });
  const list = part("gallery");
  const thumbs = [];
  const title = document.querySelector("[data-part=gallery-title]");
  const words = document.querySelector("[data-part=gallery-words]");
  const error = document.querySelector("[data-part=gallery-error]");
  const spoken = document.querySelector("[data-part=quality-note]");
  const [worst, newest, more] = [part("gallery-worst"), part("gallery-newest"), part("gallery-more")];
  const load = createLoader(store, set, measure);

  // Each of these buttons goes away when it is pressed: the focus moves on before.
  const focusMatrix = () => part("confusion").querySelector("[tabindex='0']").focus({ preventScroll: true });
  worst.addEventListener("click", () => {
    focusMatrix();
    set({ field: null, limit: null, note: null });
  });
  newest.addEventListener("click", () => {
    focusMatrix();
    load();
  });
  more.addEventListener("click", () => {
    list.querySelector("li:nth-last-child(1 of :not([hidden])) button").focus({ preventScroll: true });
    set({ limit: MOST });
  });
  /** The worst mistakes follow the network; images that somebody chose or is pointing at stay. */
  const follow = () => {
    const { quality, onScreen } = store.state;
    const isWanted = onScreen.quality && quality.report !== null && quality.field === null && !isPointedAt(list);
    if (isWanted && quality.images?.version !== quality.report.version && !quality.imagesBusy) load();
  };
  list.addEventListener("pointerleave", follow);
  list.addEventListener("focusout", () => setTimeout(follow)); // when the focus is where it goes
  store.subscribe(({ quality, onScreen }, previous) => {
    if (quality.report === null) return;
    if (quality.field !== previous.quality.field || quality.limit !== previous.quality.limit) load();
    else if (quality.report !== previous.quality.report || onScreen.quality !== previous.onScreen.quality) follow();
  });

  let drawn = null;
  return function render({ quality }) {
    const { images, imagesBusy, imagesError, report, note } = quality;
    setText(title, titleOf(quality.field));
    setText(words, wording(quality));
    setNote(error, imagesError);
    setText(spoken, note ?? "");
    setFlag(list, "pending", imagesBusy && !isShown(quality));
    worst.hidden = quality.field === null;
    newest.hidden = images === null || quality.field === null || images.version === report?.version;
    more.hidden = images === null || images.examples.length >= Math.min(images.total, MOST);
    more.disabled = imagesBusy;
    if (images === drawn) return;
    drawn = images;
    while (thumbs.length < images.examples.length) thumbs.push(addThumb(store, list, thumbs.length));
    thumbs.forEach((thumb, nth) => {
      const example = images.examples[nth];
      if (example === undefined) thumb.hide();
      else thumb.show(contentOf(example));
    });
  };
}

const hovers = matchMedia("(hover: hover)"); // a finger leaves its :hover behind
const isPointedAt = (list) => list.contains(document.activeElement) || (hovers.matches && list.matches(":hover"));

function addThumb(store, list, nth) {
  const thumb = createThumb(() => loadOnSheet(store, store.state.quality.images.examples[nth]));
  list.append(thumb.element);
  return thumb;
}

const isShown = ({ images, field }) => images !== null && images.field?.label === field?.label && images.field?.digit === field?.digit;

function titleOf(field) {
  if (field === null) return "The worst mistakes";
  return field.label === field.digit ? `${field.label} read rightly` : `${field.label} read as ${field.digit}`;
}

function wording(quality) {
  const { images, field } = quality;
  if (images === null || !isShown(quality)) return quality.imagesBusy ? "Fetching the images…" : "";
  const { total, examples, iteration } = images;
  const when = `after ${iteration} iterations`;
  if (total === 0) return field === null ? `It misreads none, ${when}.` : `There is none, ${when}.`;
  if (examples.length === total) return `${total === 1 ? "The only one" : `All ${total}`}, ${when}; the surest first.`;
  return `The ${examples.length} surest of ${counted(total, "image", "images")}, ${when}.`;
}

function contentOf({ index, label, digit, probability, image }) {
  const sure = `${percent(probability)} %`;
  const reading = label === digit ? "read rightly" : `read as ${digit}`;
  return {
    image,
    title: `Test image ${index}`,
    words: label === digit ? `${label} ✓` : `${label} → ${digit}`,
    detail: sure,
    name: `A ${label}, ${reading}, ${sure} sure. Test image ${index}: put it on the sheet`,
    wrong: label !== digit,
  };
}

/** Returns what asks for the images of the field that is chosen, as the newest evaluation that the page has knows them. */
function createLoader(store, set, measure) {
  async function fetchImages({ field, limit }) {
    const { version, iteration } = store.state.quality.report;
    const answer = await api.evaluationExamples(version, field, limit);
    return { ...answer, field, iteration };
  }
  const asker = latestOnly({
    send: async (wanted) => {
      try {
        return await fetchImages(wanted);
      } catch (problem) {
        if (problem.status !== GONE) throw problem;
        await measure(); // too long ago: the newest one has images
        return fetchImages(wanted);
      }
    },
    onAnswer: (images) => {
      if (!isShown({ images, field: store.state.quality.field })) return; // another field was chosen, and is asked for next
      set({ images, imagesBusy: false, imagesError: null });
      // Said aloud only to somebody who asked: the worst mistakes change every second.
      if (images.field !== null) set({ note: `${titleOf(images.field)}. ${wording(store.state.quality)}` });
    },
    onError: (problem, { field }) => {
      if (field === store.state.quality.field) set({ imagesBusy: false, imagesError: problem.message });
    },
  });
  return () => {
    const { field, limit } = store.state.quality;
    set({ imagesBusy: true, imagesError: null });
    asker.ask({ field, limit: limit ?? FIRST });
  };
}
