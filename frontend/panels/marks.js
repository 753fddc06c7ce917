// What was changed during the run, as a list: for keyboards and screen readers, and to find a mark again.

import * as format from "../core/format.js";
import { markWords } from "../core/marks.js";
import { part, setText } from "../dom.js";

const LISTED = 50; // the newest

/** `look(iteration)` shows a place on the charts. Returns render(state). */
export function createMarksList(store, look) {
  const details = part("curve-marks");
  const title = document.querySelector("[data-part=curve-marks-title]");
  const list = document.querySelector("[data-part=curve-marks-list]");
  let listed = null;

  function fill(marks) {
    const rows = marks.slice(-LISTED).reverse().map((mark) => rowOf(mark, look));
    list.replaceChildren(...rows);
    listed = marks;
  }
  details.addEventListener("toggle", () => details.open && fill(store.state.curve.marks));

  return function render({ curve: { marks } }) {
    details.hidden = marks.length === 0;
    setText(title, `What was changed (${marks.length})`);
    // A row that has the focus stays until the next change.
    if (details.open && !sameMarks(marks, listed)) fill(marks);
  };
}

function sameMarks(marks, others) {
  return others !== null && marks.length === others.length && marks.every((mark, nth) => mark === others[nth]);
}

function rowOf(mark, look) {
  const row = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `${markWords(mark)} at iteration ${mark.iteration}, ${format.moment(mark.at)}`;
  button.addEventListener("click", () => look(mark.iteration));
  button.addEventListener("focus", () => look(mark.iteration));
  button.addEventListener("mouseenter", () => look(mark.iteration));
  button.addEventListener("blur", () => look(null));
  button.addEventListener("mouseleave", () => look(null));
  row.append(button);
  return row;
}
