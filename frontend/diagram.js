// The picture of the machine: boxes, lists, workers and what flows between them.

import { setFlag, setText } from "./dom.js";
import { createFlow } from "./flow.js";
import { setAttributes, svg } from "./svg.js";

/**
 * A diagram in `container`. `onPoint(id | null)` hears at which part the pointer or the focus is, `onKeep(id)` which one was
 * pressed. Returns {draw(layout, parts), update(parts), move(on), choose(chosen, kept)}: draw when the layout or the set of
 * parts has changed, update when what they say has, move as motion is wanted or not.
 */
export function createDiagram(container, { onPoint, onKeep }) {
  const picture = svg("svg", "", container);
  setAttributes(picture, { role: "group", "aria-label": "The machine, part by part; the arrow keys go from one to the next" });
  const squares = svg("g", "squares");
  squares.setAttribute("aria-hidden", "true");
  const stream = document.createElement("div");
  stream.className = "flows";
  stream.setAttribute("aria-hidden", "true");
  container.append(stream);
  const shapes = new Map(); // id of a part to what is drawn of it
  listen(picture, shapes, { onPoint, onKeep });
  let moving = false;

  function draw(layout, parts) {
    setAttributes(picture, { width: layout.width, height: layout.height });
    stream.style.width = `${layout.width}px`;
    const placed = parts.map((part) => [part, placeOf(part, layout)]).filter(([, place]) => place !== undefined);
    const ids = new Set(placed.map(([{ id }]) => id));
    for (const [id, shape] of shapes) if (!ids.has(id)) forget(id, shape);
    let next = picture.firstChild;
    for (const [part, place] of placed) {
      if (!shapes.has(part.id)) shapes.set(part.id, createShape(part, stream));
      const shape = shapes.get(part.id);
      if (shape.group === next) next = next.nextSibling;
      else picture.insertBefore(shape.group, next); // what stays in its place keeps the focus
      shape.place(place, layout.wide);
    }
    drawSquares(squares, parts.some(({ kind }) => kind === "worker") ? [] : layout.workers);
    picture.append(squares);
    if (!picture.querySelector("[tabindex='0']")) controlsIn(picture)[0].setAttribute("tabindex", "0");
    update(parts);
  }

  function forget(id, shape) {
    shape.place(null);
    shape.group.remove();
    shapes.delete(id);
  }

  function update(parts) {
    for (const part of parts) shapes.get(part.id)?.update(part, moving);
  }

  return {
    draw,
    update,
    move: (on) => (moving = on),
    /** Mark the part that is explained, and the one that stays so. */
    choose(chosen, kept) {
      for (const [id, { group, control }] of shapes) {
        setFlag(group, "chosen", id === chosen);
        control.setAttribute("aria-pressed", String(id === kept));
      }
    },
  };
}

function placeOf({ id, kind, place }, layout) {
  if (kind === "worker") return layout.workers[place];
  return kind === "flow" ? layout.flows[id] : layout.boxes[id];
}

const controlsIn = (picture) => [...picture.querySelectorAll("[role=button]")];

/** A part: its outline is a button, whose name says all that the texts beside it do. */
function createShape(part, stream) {
  const group = svg("g", `part ${part.kind}`);
  const control = svg("g", "", group);
  const texts = svg("g", "", group);
  group.dataset.partId = part.id;
  setAttributes(control, { role: "button", tabindex: "-1", "aria-label": part.title });
  texts.setAttribute("aria-hidden", "true");
  const { place, update } = part.kind === "flow" ? createFlow(control, texts, stream) : createBox(control, texts, part);
  let label = "";
  return {
    group,
    control,
    place,
    update(now, moving) {
      const words = [now.title, now.does, now.now].join(". ").replace(/\.\. /g, ". ");
      // Told when the focus comes; a label that changed under it would be read over and over.
      if (words !== label && document.activeElement !== control) control.setAttribute("aria-label", (label = words));
      setFlag(group, "trouble", Boolean(now.trouble));
      setFlag(group, "flowing", now.pace > 0);
      update(now, moving);
    },
  };
}

const TEXT_NAMES = ["title", "note", "value", "unit", "extra"];
/** Where the texts of a box are: name to [x, y, anchor] in it. */
const TEXTS = {
  chip: ({ x, y, width, height }) => ({
    title: [x + 12, y + height / 2 + 5, "start"], value: [x + width - 12, y + height / 2 + 5, "end"],
  }),
  list: ({ x, y, height }) => ({
    title: [x + 12, y + 22, "start"], value: [x + 12, y + 54, "start"], note: [x + 12, y + height - 26, "start"],
  }),
  worker: ({ x, y, width }) => ({ value: [x + width / 2, y + 21, "middle"], unit: [x + width / 2, y + 36, "middle"] }),
  redis: ({ x, y, width }) => ({ title: [x + 14, y + 24, "start"], note: [x + width - 14, y + 24, "end"] }),
  workers: ({ x, y }) => ({ value: [x + 14, y + 26, "start"], title: [x + 44, y + 26, "start"], note: [x + 14, y + 60, "start"] }),
  numbered: (box) => {
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return {
      title: [x, y - 46, "middle"], note: [x, y - 27, "middle"], value: [x, y + 8, "middle"], unit: [x, y + 26, "middle"],
      extra: [x, y + 52, "middle"],
    };
  },
  plain: ({ x, y, width, height }) => {
    const centre = [x + width / 2, y + height / 2];
    return height < 46
      ? { title: [centre[0], centre[1] + 5, "middle"] }
      : { title: [centre[0], centre[1] - 3, "middle"], note: [centre[0], centre[1] + 16, "middle"] };
  },
};

function textsOf({ id, kind }) {
  return TEXTS[id] ?? TEXTS[kind] ?? (id === "trainer" ? TEXTS.numbered : TEXTS.plain);
}

function createBox(control, label, part) {
  const frame = svg("rect", "part-frame", control);
  const gauge = part.kind === "list" ? { track: svg("rect", "gauge-track", control), fill: svg("rect", "gauge-fill", control) } : null;
  const texts = Object.fromEntries(TEXT_NAMES.map((name) => [name, svg("text", `part-${name}`, label)]));
  const mark = svg("g", "part-mark", label);
  svg("circle", "", mark).setAttribute("r", "9");
  setAttributes(svg("text", "", mark), { y: 5, "text-anchor": "middle" });
  mark.lastChild.textContent = "!";
  let trackWidth = 0;

  return {
    place(box) {
      if (box === null) return;
      const { x, y, width, height } = box;
      setAttributes(frame, { x, y, width, height, rx: part.kind === "worker" ? 8 : 12 });
      const places = textsOf(part)(box);
      for (const [name, text] of Object.entries(texts)) {
        text.style.display = places[name] ? "" : "none";
        if (places[name]) setAttributes(text, { x: places[name][0], y: places[name][1], "text-anchor": places[name][2] });
      }
      mark.setAttribute("transform", `translate(${x + width - 6} ${y + 6})`);
      if (gauge === null) return;
      trackWidth = width - 24;
      for (const bar of Object.values(gauge)) setAttributes(bar, { x: x + 12, y: y + height - 18, height: 8, rx: 4, width: trackWidth });
    },
    update({ title, note = "", value = "", unit = "", extra = "", share }) {
      const words = { title, note, value, unit, extra };
      for (const [name, text] of Object.entries(texts)) setText(text, words[name]);
      if (gauge !== null) gauge.fill.setAttribute("width", String(Math.round(trackWidth * share * 10) / 10));
    },
  };
}

function drawSquares(group, cells) {
  while (group.childElementCount > cells.length) group.lastChild.remove();
  while (group.childElementCount < cells.length) svg("rect", "square", group);
  cells.forEach((cell, index) => setAttributes(group.children[index], { ...cell, rx: 3 }));
}

/** Pointing, focus, pressing and the arrow keys, for all parts at once. */
function listen(picture, shapes, { onPoint, onKeep }) {
  const idAt = (target) => target.closest?.("[data-part-id]")?.dataset.partId ?? null;
  let under = null; // the part under the pointer, which the focus leaves in its place
  const focused = () => (document.activeElement?.matches(":focus-visible") && picture.contains(document.activeElement)
    ? idAt(document.activeElement) : null);
  const over = (id) => onPoint((under = id) ?? focused());

  picture.addEventListener("pointerover", ({ target, pointerType }) => pointerType === "touch" || over(idAt(target)));
  picture.addEventListener("pointerleave", ({ pointerType }) => pointerType === "touch" || over(null));
  picture.addEventListener("focusin", ({ target }) => {
    for (const { control } of shapes.values()) control.setAttribute("tabindex", control === target ? "0" : "-1");
    if (target.matches(":focus-visible")) onPoint(idAt(target));
  });
  picture.addEventListener("focusout", () => onPoint(under));
  picture.addEventListener("click", ({ target }) => onKeep(idAt(target)));
  picture.addEventListener("keydown", (event) => {
    const action = {
      ArrowRight: () => step(event.target, 1), ArrowDown: () => step(event.target, 1),
      ArrowLeft: () => step(event.target, -1), ArrowUp: () => step(event.target, -1),
      Home: () => controlsIn(picture)[0].focus(), End: () => controlsIn(picture).at(-1).focus(),
      Enter: () => onKeep(idAt(event.target)), " ": () => onKeep(idAt(event.target)), Escape: () => onKeep(null),
    }[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });

  function step(from, by) {
    const all = controlsIn(picture);
    all[Math.min(all.length - 1, Math.max(0, all.indexOf(from) + by))]?.focus();
  }
}
