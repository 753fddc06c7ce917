// The drawing sheet by keyboard: arrows move a cursor, Space draws with the tool in use, Delete erases its cell.

import { SIDE, TIPS, eraseSegment, strokeSegment } from "./core/brush.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAP = 4; // cells, with Shift
const DRAW = " ";
const ERASE = ["Delete", "Backspace"];
const SPEAK_MS = 180; // a cell on which the cursor has stopped this long is spoken

/**
 * `cursor` is the mark of the cell; `say(words)` speaks; `onActive(is)` is told whether the keyboard is in use on the sheet;
 * `clear()` and `leave()` are what the keys X and Escape do.
 */
export function followKeys(canvas, cursor, { grid, tool, sheet, say, onActive, clear, leave }) {
  const at = { column: SIDE / 2, row: SIDE / 2 };
  let held = null; // {key, change} while Space or Delete is down: a stroke
  let speakTimer = null;

  function activate(is) {
    cursor.hidden = !is;
    if (!is) held = null;
    onActive(is);
  }

  function place() {
    cursor.style.setProperty("--column", at.column);
    cursor.style.setProperty("--row", at.row);
  }

  function drawFrom(column, row) {
    held.change((pixels) => {
      if (ERASE.includes(held.key)) return eraseCells(pixels, column, row, at);
      const segment = tool() === "eraser" ? eraseSegment : strokeSegment;
      segment(pixels, middle({ column, row }), middle(at), TIPS[tool()]);
    });
  }

  function move([right, down], cells) {
    const { column, row } = at;
    at.column = within(column + right * cells);
    at.row = within(row + down * cells);
    place();
    if (held !== null) drawFrom(column, row);
  }

  function speak() {
    clearTimeout(speakTimer);
    speakTimer = setTimeout(() => say(wordsFor(at, sheet())), SPEAK_MS);
  }

  function press(key) {
    held = { key, change: grid.startStroke() };
    drawFrom(at.column, at.row);
  }

  canvas.addEventListener("keydown", (event) => {
    const { key, repeat, shiftKey } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isMark = key === DRAW || ERASE.includes(key);
    if (key in STEPS) move(STEPS[key], shiftKey ? LEAP : 1);
    else if (isMark && !repeat) press(key);
    else if (key.toLowerCase() === "x") clear();
    else if (key === "Escape") leave();
    else if (!isMark) return;
    event.preventDefault();
    if (key === "Escape") return;
    activate(true);
    speak();
  });
  canvas.addEventListener("keyup", ({ key }) => {
    if (held?.key === key) held = null;
  });
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && activate(true));
  canvas.addEventListener("blur", () => activate(false));
  canvas.addEventListener("pointerdown", () => activate(false));
  place();
}

const within = (cell) => Math.min(SIDE - 1, Math.max(0, cell));
const middle = ({ column, row }) => ({ x: column + 0.5, y: row + 0.5 });

/** The cells from (column, row) to where the cursor is now, in its row or column, become paper. */
function eraseCells(pixels, column, row, at) {
  for (let y = Math.min(row, at.row); y <= Math.max(row, at.row); y += 1) {
    for (let x = Math.min(column, at.column); x <= Math.max(column, at.column); x += 1) pixels[y * SIDE + x] = 0;
  }
}

function wordsFor({ column, row }, pixels) {
  const ink = pixels[row * SIDE + column];
  const what = ink === 0 ? "paper" : ink === 1 ? "ink" : `${Math.round(ink * 100)} % ink`;
  return `Row ${row + 1}, column ${column + 1}: ${what}`;
}
