// Two times ten bars, back to back, with the digits between them.

import { NOTHING } from "./core/format.js";
import { DIGITS } from "./core/verdict.js";
import { setFlag, setText } from "./dom.js";

/**
 * Fill the table. `words(number)` is how a number is written. Returns what draws [ten numbers of 0..1 or null, the same]:
 * `names` of the two, `top` the bar of each that is marked, `floor` where the bars begin, `better` whether each digit
 * points to the larger number.
 */
export function createDuel(table, words) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = DIGITS.map((digit) => addRow(table.tBodies[0], digit));

  return function render(both, { names, top = [null, null], floor = 0, better = false }) {
    setText(heads[0], names[0]);
    setText(heads[2], names[1]);
    for (const [digit, { mark, sides }] of rows.entries()) {
      const values = both.map((all) => all?.[digit] ?? null);
      sides.forEach(({ cell, fill, value }, nth) => {
        const number = values[nth];
        setText(value, number === null ? NOTHING : words(number));
        fill.style.transform = `scaleX(${number === null ? 0 : ((number - floor) / (1 - floor)).toFixed(4)})`;
        setFlag(cell, "top", top[nth] === digit);
      });
      setFlag(mark, "first", better && ahead(values[0], values[1]));
      setFlag(mark, "second", better && ahead(values[1], values[0]));
    }
  };
}

const ahead = (mine, other) => mine !== null && other !== null && mine > other;

/** One digit: {mark, sides: [{cell, fill, value}, ...]}. */
function addRow(body, digit) {
  const row = body.insertRow();
  const mark = document.createElement("th");
  mark.scope = "row";
  mark.textContent = String(digit);
  const sides = ["first", "second"].map((name) => {
    const cell = document.createElement("td");
    cell.className = name;
    const [line, track, fill, value] = ["duel-line", "track", "fill", "value"].map((className) => {
      const element = document.createElement("span");
      element.className = className;
      return element;
    });
    track.append(fill);
    line.append(value, track);
    cell.append(line);
    return { cell, fill, value };
  });
  row.append(sides[0].cell, mark, sides[1].cell);
  return { mark, sides };
}
