// The machine as a picture that tells of the part one points at, and the same as a table.

import { throttle } from "../core/coalesce.js";
import { stateSentence } from "../core/machine.js";
import { layoutOf } from "../core/machine_layout.js";
import { partsOf } from "../core/machine_parts.js";
import { createDiagram } from "../diagram.js";
import { part, setText } from "../dom.js";

const GAUGE_MS = 100;
const NUMBERS_MS = 250; // rates that change faster cannot be read

export function createPicture(store) {
  const renderers = [createDrawing(store), createList(store)];
  return function render(state) {
    for (const renderPart of renderers) renderPart(state);
  };
}

/** The drawing and, beside it, what the part is that one points at. Both rest while nobody can see them. */
function createDrawing(store) {
  const container = part("machine-diagram");
  const stage = container.parentElement;
  const explain = createExplanation(part("machine-words"));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let pointed = null;
  let kept = null;
  let width = 0; // of the room for the picture, 0 until it is known
  let drawn = ""; // what the picture was last laid out for

  const diagram = createDiagram(container, {
    onPoint: (id) => choose(id, kept),
    onKeep: (id) => choose(pointed, id === kept ? null : id),
  });
  function choose(newPointed, newKept) {
    [pointed, kept] = [newPointed, newKept];
    diagram.choose(pointed ?? kept, kept);
    update(() => true);
  }

  new ResizeObserver(([{ contentRect }]) => {
    width = Math.floor(contentRect.width);
    update(() => true);
  }).observe(stage);
  still.addEventListener("change", () => update(() => true));

  function update(wanted) {
    const { state } = store;
    const parts = partsOf(state);
    const workers = state.signal?.data_workers ?? 0;
    const layout = [width, workers, ...parts.map(({ id }) => id)].join();
    diagram.move(!still.matches && Boolean(state.onScreen.machine));
    if (width > 0 && layout !== drawn) {
      drawn = layout;
      lay(layoutOf(width, workers), parts);
    } else if (drawn !== "") diagram.update(parts.filter(wanted)); // also when it was hidden: then nothing moves
    if (parts.some((one) => one.kind === "flow" && wanted(one))) explain(parts.find(({ id }) => id === (pointed ?? kept)), state);
  }

  function lay(layout, parts) {
    stage.toggleAttribute("data-wide", layout.wide);
    stage.style.setProperty("--aside-width", layout.wide ? `${layout.aside.width}px` : "auto");
    stage.style.setProperty("--aside-top", layout.wide ? `${layout.aside.y}px` : "auto");
    diagram.draw(layout, parts);
    diagram.choose(pointed ?? kept, kept);
  }

  const updateGauges = throttle(() => update(({ kind }) => kind === "list"), GAUGE_MS);
  const updateNumbers = throttle(() => update(() => true), NUMBERS_MS);
  let seen = false;
  return function render({ onScreen }) {
    if (onScreen.machine || seen) {
      updateGauges();
      updateNumbers(); // once more when it goes out of sight: then nothing moves
    }
    seen = Boolean(onScreen.machine);
  };
}

function createExplanation(element) {
  const [name, does, now] = element.children;
  return (chosen, state) => {
    setText(name, chosen?.title ?? "What happens now");
    setText(does, chosen?.does ?? stateSentence(state));
    setText(now, chosen?.now ?? "Point at a part, or tap it, to read what it does.");
    element.toggleAttribute("data-chosen", chosen !== undefined);
  };
}

/** The same as a table, filled while it is open. */
function createList(store) {
  const details = part("machine-list");
  const body = details.querySelector("tbody");
  const rows = new Map();
  const fill = throttle(() => {
    if (!details.open) return;
    const parts = partsOf(store.state);
    const ids = new Set(parts.map(({ id }) => id));
    for (const [id, { row }] of rows) {
      if (ids.has(id)) continue;
      row.remove();
      rows.delete(id);
    }
    let next = body.firstChild;
    for (const { id, title, does, now } of parts) {
      if (!rows.has(id)) rows.set(id, createRow());
      const { row, cells } = rows.get(id);
      if (row === next) next = next.nextSibling;
      else body.insertBefore(row, next);
      [title, does, now].forEach((words, index) => setText(cells[index], words));
    }
  }, NUMBERS_MS);
  details.addEventListener("toggle", fill);
  return ({ onScreen }) => onScreen.machine && details.open && fill();
}

function createRow() {
  const row = document.createElement("tr");
  const cells = ["th", "td", "td"].map((name) => row.appendChild(document.createElement(name)));
  cells[0].scope = "row";
  return { row, cells };
}
