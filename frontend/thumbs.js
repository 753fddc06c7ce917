// Small pictures of digits, each a button. They are made once and shown again with other contents.

import { SIDE } from "./core/brush.js";
import { setFlag, setText } from "./dom.js";

/** A list item with a picture and two lines of words: {element, show({image, words, detail, name, wrong}), hide()}. */
export function createThumb(onPress) {
  const element = document.createElement("li");
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const [words, detail] = ["thumb-words", "thumb-detail"].map((name) => {
    const line = document.createElement("span");
    line.className = name;
    return line;
  });
  button.type = "button";
  button.className = "thumb";
  canvas.width = SIDE;
  canvas.height = SIDE;
  button.append(canvas, words, detail);
  element.append(button);
  button.addEventListener("click", onPress);
  let painted = null;

  return {
    element,
    show({ image, words: line, detail: second, name, wrong }) {
      if (image !== painted) paint(canvas, image);
      painted = image;
      setText(words, line);
      setText(detail, second);
      if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name);
      setFlag(button, "wrong", wrong);
      element.hidden = false;
    },
    hide() {
      element.hidden = true;
    },
  };
}

/** 784 numbers of 0..1 as white ink, its strength in alpha; the page's colours decide what ink and paper look like. */
function paint(canvas, image) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(SIDE, SIDE);
  pixels.data.fill(255);
  image.forEach((ink, cell) => (pixels.data[cell * 4 + 3] = Math.round(ink * 255)));
  context.putImageData(pixels, 0, 0);
}

/** Put an image of the test set on the sheet, and lead the person there. */
export function loadOnSheet(store, { index, label, image }) {
  store.dispatch({ type: "drawing", pixels: Float32Array.from(image), label, index });
  store.dispatch({ type: "set", slice: "quality", note: `Test image ${index}, a ${label}, is on the sheet now.` });
  const sheet = document.querySelector("[data-testid=grid]");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  sheet.closest("[data-panel]").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  sheet.focus({ preventScroll: true });
}
