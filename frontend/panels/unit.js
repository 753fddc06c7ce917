// One hidden unit from near: its weights, how it fires, and which digits it speaks for.

import { signed } from "../core/explain.js";
import { extremesOf, paintTiles, sheetSize } from "../core/tiles.js";
import { DIGITS } from "../core/verdict.js";
import { setText } from "../dom.js";

const FADED = 96; // of 255: weights that the drawing has no ink on, and that do nothing for it

export function createUnit(card) {
  const canvas = card.querySelector("canvas");
  const context = canvas.getContext("2d");
  const { width, height } = sheetSize(1, 1);
  const image = context.createImageData(width, height);
  const text = (part) => card.querySelector(`[data-part=unit-${part}]`);
  const [name, range, firing, words] = ["name", "range", "firing", "words"].map(text);
  const rows = createVotes(card.querySelector("[data-testid=unit-votes]"));

  /**
   * `input` is what the network was given, `fires` what the unit puts out for it, both null without a drawing; `votes` is votesOf;
   * `share` what the unit adds to the logit of `digit`, null where none is explained.
   */
  return function show({ layer, unit, input, fires, votes, share, digit, scale, palette }) {
    const { low, high } = extremesOf(layer, unit);
    paintTiles(new Uint32Array(image.data.buffer), layer, [unit], { columns: 1, rangeOf: () => scale, paletteOf: () => palette });
    input?.forEach((ink, pixel) => (image.data[pixel * 4 + 3] = ink > 0 ? 255 : FADED));
    context.putImageData(image, 0, 0);
    setText(name, `Unit ${unit}`);
    setText(range, `weights ${signed(low)} to ${signed(high)}`);
    setText(firing, firingWords(fires, share, digit));
    showVotes(rows, votes);
    setText(words, `${firing.textContent}; ${range.textContent}; ${favouriteWords(votes)}`);
  };
}

function firingWords(fires, share, digit) {
  if (fires === null) return "fires when its blue is inked";
  if (!(fires > 0)) return "silent on this drawing";
  const about = share === null ? "" : `, says ${signed(share)} for ${digit}`;
  return `fires ${fires.toFixed(2)}${about}`;
}

function favouriteWords(votes) {
  const [best, worst] = [votes.indexOf(Math.max(...votes)), votes.indexOf(Math.min(...votes))];
  return `speaks most for ${best} (${signed(votes[best])}), most against ${worst} (${signed(votes[worst])})`;
}

function createVotes(list) {
  return DIGITS.map((digit) => {
    const row = document.createElement("li");
    const [name, track, fill, value] = ["vote-digit", "vote-track", "vote-fill", "vote-value"].map((className) => {
      const element = document.createElement("span");
      element.className = className;
      return element;
    });
    name.textContent = digit;
    track.append(fill);
    row.append(name, track, value);
    list.append(row);
    return { fill, value };
  });
}

function showVotes(rows, votes) {
  const most = Math.max(...votes.map(Math.abs)) || 1;
  rows.forEach(({ fill, value }, digit) => {
    setText(value, signed(votes[digit]));
    fill.style.transform = `scaleX(${(votes[digit] / most).toFixed(3)})`;
    fill.classList.toggle("against", votes[digit] < 0);
  });
}
