// Over the sheet: what each pixel that the network was given says for or against the digit that is explained.

import { SIDE } from "../core/brush.js";
import { setText } from "../dom.js";
import { drawSign } from "./tiles.js";

const CELL = 12; // pixels of the canvas for one of the network's
const SIGNED_FROM = 0.3; // share of the strongest from which a cell has its sign written into it
const BRIGHTEN = 0.7; // an exponent: weak ones are to be seen, too

/** Returns what shows them: null, or {pixels, placement, digit, unit}, `unit` where they are one hidden unit's alone. */
export function createContributions(overlay) {
  const canvas = overlay.querySelector("canvas");
  const context = canvas.getContext("2d");
  const [pro, contra, whose] = overlay.querySelectorAll("span");
  [canvas.width, canvas.height] = [SIDE * CELL, SIDE * CELL];

  return function show(explained, colours) {
    overlay.hidden = explained === null;
    if (explained === null) return;
    const { pixels, placement, digit, unit } = explained;
    canvas.style.width = percent(placement.scale);
    canvas.style.left = percent(placement.left / SIDE);
    canvas.style.top = percent(placement.top / SIDE);
    paint(context, pixels, colours);
    setText(pro, `+ speaks for ${digit}`);
    setText(contra, "− against it");
    setText(whose, unit === null ? "┆ all it sees" : `unit ${unit} alone`);
  };
}

const percent = (share) => `${(share * 100).toFixed(2)}%`;

function paint(context, pixels, { plus, minus, paper }) {
  const most = pixels.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
  context.clearRect(0, 0, SIDE * CELL, SIDE * CELL);
  if (!(most > 0)) return;
  context.strokeStyle = paper;
  context.lineWidth = 1.5;
  pixels.forEach((value, pixel) => {
    if (value === 0) return;
    const share = Math.abs(value) / most;
    const [x, y] = [(pixel % SIDE) * CELL, Math.floor(pixel / SIDE) * CELL];
    context.globalAlpha = share ** BRIGHTEN;
    context.fillStyle = value > 0 ? plus : minus;
    context.fillRect(x, y, CELL, CELL);
    if (share < SIGNED_FROM) return;
    context.globalAlpha = 0.8;
    drawSign(context, x + CELL / 2, y + CELL / 2, CELL / 4, value > 0);
  });
}
