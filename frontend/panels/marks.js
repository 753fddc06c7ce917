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
  const rows = new Map(); // of what is listed: mark to row

  /** Rows that stay are left alone: one of them may have the focus. */
  function fill(marks) {
    const newest = marks.slice(-LISTED);
    for (const [mark, row] of rows) {
      if (newest.includes(mark)) continue;
      row.remove();
      rows.delete(mark);
    }
    for (const mark of newest) {
      if (rows.has(mark)) continue;
      rows.set(mark, rowOf(mark, look));
      list.prepend(rows.get(mark)); // a mark that is new is newer than the others
    }
  }
  details.addEventListener("toggle", () => details.open && fill(store.state.curve.marks));

  return function render({ curve: { marks } }) {
    if (details.hidden !== (marks.length === 0)) details.hidden = marks.length === 0;
    setText(title, `What was changed (${marks.length})`);
    if (details.open) fill(marks);
  };
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
