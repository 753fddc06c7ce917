// The confusion matrix: a hundred buttons, rows the label, columns the guess, with the accuracy of each digit at the end of its row.

import { cellName, cellWords, digitAccuracies, fieldAfter, rowTotals, strength } from "../core/evaluation.js";
import { percent } from "../core/format.js";
import { DIGITS } from "../core/verdict.js";
import { part, setFlag, setText } from "../dom.js";

const START = { label: 0, digit: 0 };

/** `choose({label, digit})` is called with the field that a person presses. */
export function createConfusion(choose) {
  const table = part("confusion");
  const readout = document.querySelector("[data-part=confusion-readout]");
  const { fields, shares } = build(table);
  let confusion = null;
  let pointed = null; // the field whose words are shown
  let stop = START; // the one field that Tab leads to

  const point = (field) => {
    pointed = field;
    const shown = pointed !== null && confusion !== null;
    setText(readout, shown ? cellWords(confusion, pointed.label, pointed.digit) : readout.dataset.usual);
    table.dataset.column = pointed?.digit ?? "";
  };
  const fieldOf = (target) => {
    const button = target.closest("button");
    return button === null ? null : { label: Number(button.dataset.label), digit: Number(button.dataset.digit) };
  };
  const moveStop = (field) => {
    fields[stop.label][stop.digit].tabIndex = -1;
    stop = field;
    fields[stop.label][stop.digit].tabIndex = 0;
  };
  moveStop(START);
  point(null);

  table.addEventListener("click", ({ target }) => {
    const field = fieldOf(target);
    if (field !== null) choose(field);
  });
  table.addEventListener("focusin", ({ target }) => {
    const field = fieldOf(target);
    moveStop(field);
    point(field);
  });
  table.addEventListener("focusout", () => point(null));
  table.addEventListener("pointerover", ({ target }) => point(fieldOf(target)));
  table.addEventListener("pointerleave", () => point(fieldOf(document.activeElement.closest("table") === table ? document.activeElement : table)));
  table.addEventListener("keydown", (event) => {
    const next = fieldAfter(stop, event.key);
    if (next === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    fields[next.label][next.digit].focus();
  });

  return function render(report, chosen) {
    if (report.confusion !== confusion) {
      confusion = report.confusion;
      fill(fields, shares, confusion);
      point(pointed);
    }
    for (const label of DIGITS) {
      for (const digit of DIGITS) {
        const pressed = String(chosen?.label === label && chosen.digit === digit);
        const button = fields[label][digit];
        if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
      }
    }
  };
}

function fill(fields, shares, confusion) {
  const totals = rowTotals(confusion);
  const accuracies = digitAccuracies(confusion);
  for (const label of DIGITS) {
    setText(shares[label], percent(accuracies[label] ?? NaN));
    for (const digit of DIGITS) {
      const count = confusion[label][digit];
      const button = fields[label][digit];
      const name = cellName(label, digit, count);
      if (button.getAttribute("aria-label") === name) continue;
      button.setAttribute("aria-label", name);
      setText(button, count === 0 ? "" : String(count));
      const share = totals[label] === 0 ? 0 : count / totals[label];
      button.style.setProperty("--strength", strength(share).toFixed(3));
    }
  }
}

/** Makes the table: {fields[label][digit], shares[label]}. */
function build(table) {
  const head = table.createTHead().insertRow();
  const corner = document.createElement("td");
  head.append(corner, ...DIGITS.map((digit) => heading(String(digit), "col")), heading("right", "col"));
  head.lastChild.append(unit());
  const body = table.createTBody();
  const shares = [];
  const fields = DIGITS.map((label) => {
    const row = body.insertRow();
    row.append(heading(String(label), "row"));
    const buttons = DIGITS.map((digit) => fieldButton(label, digit));
    for (const button of buttons) row.insertCell().append(button);
    const share = row.insertCell();
    share.className = "share";
    shares.push(share);
    return buttons;
  });
  return { fields, shares };
}

function fieldButton(label, digit) {
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.label = label;
  button.dataset.digit = digit;
  button.dataset.testid = `field-${label}-${digit}`;
  setFlag(button, "diagonal", label === digit);
  return button;
}

function heading(text, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = text;
  return cell;
}

function unit() {
  const percentSign = document.createElement("span");
  percentSign.textContent = " %";
  return percentSign;
}
