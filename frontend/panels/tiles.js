// The tiles: a canvas with one pixel for each weight, a second one with their frames and marks, and a button over each.

import { SIDE } from "../core/brush.js";
import { PITCH, neighbour, paintTiles, sheetSize } from "../core/tiles.js";
import { setFlag } from "../dom.js";

const WIDE_PX = 560; // from here on two screen pixels for a weight
const WIDE_SCALE = 2;
const MIN_TILE_PX = 42; // for a finger
const MAX_COLUMNS = 16;
const BADGE_PX = 13;
const FAINT = 0.12; // what does less than this share of the strongest has no mark

/**
 * `onPoint(place)` hears which tile the pointer or the focus is on, null for none, `onChoose(place)` which was pressed,
 * `onResize()` that another number of columns fits.
 */
export function createTiles(frame, { onPoint, onChoose, onResize }) {
  const [weights, marks] = frame.querySelectorAll("canvas");
  const list = frame.querySelector("[role=listbox]");
  const buttons = [];
  let layout = { columns: MAX_COLUMNS, pitch: PITCH * WIDE_SCALE };
  let count = 0;
  let reachable = 0; // the one tile that Tab leads to
  let image = null;

  new ResizeObserver(([entry]) => {
    const next = layoutFor(entry.contentRect.width);
    if (next.columns === layout.columns && next.pitch === layout.pitch) return;
    layout = next;
    onResize();
  }).observe(frame.parentElement);

  const placeOf = ({ target }) => {
    const button = target.closest("button");
    return button === null ? null : buttons.indexOf(button);
  };
  list.addEventListener("pointerover", (event) => event.pointerType === "touch" || onPoint(placeOf(event)));
  list.addEventListener("pointerleave", ({ pointerType }) => pointerType === "touch" || onPoint(null));
  list.addEventListener("focusin", (event) => {
    reach(placeOf(event));
    if (event.target.matches(":focus-visible")) onPoint(reachable);
  });
  list.addEventListener("focusout", () => onPoint(null));
  list.addEventListener("click", (event) => placeOf(event) === null || onChoose(placeOf(event)));
  list.addEventListener("keydown", (event) => {
    const next = neighbour(reachable, event.key, count, layout.columns);
    if (next === reachable) return;
    event.preventDefault();
    buttons[next].focus();
  });

  function reach(place) {
    if (buttons[reachable] !== undefined) buttons[reachable].tabIndex = -1;
    reachable = Math.min(place, Math.max(0, count - 1));
    if (buttons[reachable] !== undefined) buttons[reachable].tabIndex = 0;
  }

  /** As many buttons as tiles; those that are too many stay for later. */
  function resize(wanted) {
    while (buttons.length < wanted) buttons.push(list.appendChild(createButton()));
    buttons.forEach((button, place) => (button.hidden = place >= wanted));
    count = wanted;
    reach(reachable);
  }

  function fit({ width, height }) {
    const scale = layout.pitch / PITCH;
    frame.style.setProperty("--pitch", `${layout.pitch}px`);
    frame.style.setProperty("--columns", layout.columns);
    [weights.width, weights.height] = [width, height];
    for (const { style } of [weights, marks]) [style.width, style.height] = [`${width * scale}px`, `${height * scale}px`];
    [marks.width, marks.height] = [width, height].map((size) => Math.round(size * scale * devicePixelRatio));
    image = weights.getContext("2d").createImageData(width, height);
  }

  return {
    /** Name the tiles after `units`, in this order; `kept` is the pressed one. */
    name(units, kept) {
      if (units.length !== count) resize(units.length);
      units.forEach((unit, place) => {
        const button = buttons[place];
        const name = `Unit ${unit}`;
        if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name);
        const selected = String(unit === kept);
        if (button.getAttribute("aria-selected") !== selected) button.setAttribute("aria-selected", selected);
      });
    },

    /** Paint the weights of `units`, as paintTiles does. */
    paint(layer, units, { rangeOf, paletteOf }) {
      const columns = Math.min(layout.columns, units.length);
      const size = sheetSize(units.length, columns);
      const shape = `${size.width} ${size.height} ${layout.pitch} ${devicePixelRatio}`;
      if (frame.dataset.shape !== shape) {
        fit(size);
        frame.dataset.shape = shape;
      }
      paintTiles(new Uint32Array(image.data.buffer), layer, units, { columns, rangeOf, paletteOf });
      weights.getContext("2d").putImageData(image, 0, 0);
    },

    /** Frame each tile by `marks`: a list of {share: -1..1, digit: a digit to write into the corner, or null}. */
    mark(list, { colours, signs }) {
      const context = marks.getContext("2d");
      const scale = (layout.pitch / PITCH) * devicePixelRatio;
      context.clearRect(0, 0, marks.width, marks.height);
      context.save();
      context.scale(devicePixelRatio, devicePixelRatio);
      list.forEach(({ share, digit }, place) => {
        const columns = Math.min(layout.columns, list.length);
        const at = { x: (place % columns) * layout.pitch, y: Math.floor(place / columns) * layout.pitch };
        const side = (SIDE * scale) / devicePixelRatio;
        if (Math.abs(share) > FAINT) drawFrame(context, at, side, share, { colours, signs });
        if (digit !== null) writeDigit(context, at, side, digit, colours);
      });
      context.restore();
    },

    /** Show which tile is looked at closely. */
    point(place) {
      buttons.forEach((button, other) => setFlag(button, "pointed", other === place));
    },
  };
}

function layoutFor(width) {
  if (width >= WIDE_PX) {
    const pitch = PITCH * WIDE_SCALE;
    return { columns: Math.min(MAX_COLUMNS, Math.floor(width / pitch)), pitch };
  }
  const columns = Math.max(1, Math.floor(width / MIN_TILE_PX));
  return { columns, pitch: width / columns };
}

function createButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("role", "option");
  button.setAttribute("aria-describedby", "unit-words");
  button.tabIndex = -1;
  return button;
}

function drawFrame(context, { x, y }, side, share, { colours, signs }) {
  const strength = Math.abs(share);
  const width = 1 + 2 * strength;
  const colour = signs ? (share > 0 ? colours.plus : colours.minus) : colours.ink;
  context.globalAlpha = 0.35 + 0.65 * strength;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(x + width / 2, y + width / 2, side - width, side - width);
  context.globalAlpha = 1;
  if (!signs) return;
  context.fillStyle = colour;
  context.fillRect(x, y, BADGE_PX, BADGE_PX);
  context.strokeStyle = colours.paper;
  context.lineWidth = 1.75;
  drawSign(context, x + BADGE_PX / 2, y + BADGE_PX / 2, BADGE_PX / 2 - 3, share > 0);
}

/** A plus or a minus around (x, y), its arms so long. */
export function drawSign(context, x, y, arm, isPlus) {
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  if (isPlus) {
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
  }
  context.stroke();
}

function writeDigit(context, { x, y }, side, digit, { ink, paper }) {
  context.fillStyle = ink;
  context.strokeStyle = paper; // a rim, so that it can be read on any weights
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "bottom";
  const corner = [String(digit), x + side - 4, y + side - 1];
  context.strokeText(...corner);
  context.fillText(...corner);
}
