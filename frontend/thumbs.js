// Small pictures of digits, each a button. They are made once and shown again with other contents.

import { SIDE } from "./core/brush.js";
import { setFlag, setText } from "./dom.js";
import { paintOn } from "./grid.js";

/** A list item with a picture and two lines of words: {element, show({image, words, detail, name, title, wrong}), hide()}. */
export function createThumb(onPress) {
  const element = document.createElement("li");
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const [words, detail, spoken] = ["thumb-words", "thumb-detail", "sr-only"].map((name) => {
    const line = document.createElement("span");
    line.className = name;
    line.ariaHidden = name === "sr-only" ? null : "true"; // said in whole words instead
    return line;
  });
  button.type = "button";
  button.className = "thumb";
  canvas.width = SIDE;
  canvas.height = SIDE;
  button.append(canvas, words, detail, spoken);
  element.append(button);
  button.addEventListener("click", onPress);
  let painted = null;

  return {
    element,
    show({ image, words: line, detail: second, name, title, wrong }) {
      if (image !== painted) paintOn(canvas, image);
      painted = image;
      setText(words, line);
      setText(detail, second);
      setText(spoken, name);
      if (button.title !== title) button.title = title;
      setFlag(button, "wrong", wrong);
      element.hidden = false;
    },
    hide() {
      element.hidden = true;
    },
  };
}

/** Put an image of the test set on the sheet, and lead the person there. */
export function loadOnSheet(store, { index, label, image }) {
  store.dispatch({ type: "drawing", pixels: Float32Array.from(image), label, source: `test image ${index}` });
  store.dispatch({ type: "set", slice: "quality", note: `Test image ${index}, a ${label}, is on the sheet now.` });
  const sheet = document.querySelector("[data-testid=grid]");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  sheet.closest("[data-panel]").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  sheet.focus({ preventScroll: true });
}
