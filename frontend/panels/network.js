// Inside the network: its first-layer weights as tiles, which of them fire on the drawing, and why it reads what it reads.

import { throttle } from "../core/coalesce.js";
import { createPalette, parseHex } from "../core/colour.js";
import { pixelsThrough, reasonWords, signed, votesOf } from "../core/explain.js";
import { ORDERS, TILES_PER_PAGE } from "../core/tiles.js";
import { part, setFlag, setNote, setText } from "../dom.js";
import { createContributions } from "./contributions.js";
import { createSight } from "./sight.js";
import { createTiles } from "./tiles.js";
import { createUnit } from "./unit.js";

const SILENT_STRENGTH = 0.3; // of the colours of a unit that does not fire
const WORDS_MS = 500; // numbers that change faster cannot be read
const STOPS = ["minus", "minus-half", "zero", "plus-half", "plus"];

export function createNetworkPanel(store) {
  const set = (fields) => store.dispatch({ type: "set", slice: "network", ...fields });
  const sight = createSight(() => set({}));
  const controls = createControls(store, set);
  const sayWords = createWords();
  const drawTiles = createTileView(store, set, sight, controls);
  const showContributions = createContributions(document.querySelector("[data-part=explained]"));
  const colours = createColours(() => set({}));

  return function render(state) {
    const { network, onScreen, view } = state;
    const { latest } = network;
    const seen = latest === null ? null : sight.look(state);
    showContributions(onScreen.draw ? contributionsOf(latest, seen, network.pointed) : null, colours());
    if (!onScreen.network) return;
    controls.render(network, view);
    sayWords(latest, seen, network.problem);
    if (latest !== null) drawTiles(state, seen, colours());
  };
}

/** The tiles and the enlarged one. Returns what draws them where anything changed. */
function createTileView(store, set, sight, controls) {
  let units = [];
  let drawn = [];
  const unitAt = (place) => units[place] ?? null;
  const tiles = createTiles(document.querySelector("[data-part=tile-frame]"), {
    onPoint: (place) => unitAt(place) === store.state.network.pointed || set({ pointed: unitAt(place) }),
    onChoose: (place) => set({ kept: unitAt(place) === store.state.network.kept ? null : unitAt(place) }),
    onResize: () => {
      drawn = [];
      set({});
    },
  });
  const showUnit = createUnit(part("unit"));

  return function draw({ network, view }, seen, colours) {
    const { latest, order: mode, page, pointed, kept } = network;
    const order = sight.arrange(latest, seen, { mode, page }, pointed !== null);
    const now = [latest, seen, order, colours, view.shared, pointed, kept];
    if (now.every((value, k) => value === drawn[k])) return;
    drawn = now;
    ({ units } = order);
    const [layer] = latest.layers;
    const most = Math.max(...seen.ranges);
    const rangeOf = (unit) => (view.shared ? most : seen.ranges[unit]);
    const isSilent = (unit) => seen.strengths !== null && seen.strengths[unit] === 0;
    tiles.name(units, kept);
    tiles.paint(layer, units, { rangeOf, paletteOf: (unit) => (isSilent(unit) ? colours.faint : colours.bright) });
    tiles.mark(marksOf(seen, order), { colours, signs: seen.explains !== null });

    const unit = [pointed, kept].find((one) => one !== null && one < layer.outputs) ?? units[0];
    tiles.point(units.indexOf(unit));
    const { explanation, explains } = seen;
    showUnit({
      layer,
      unit,
      input: seen.input,
      fires: explanation?.outputs[0][unit] ?? null,
      votes: Array.from(votesOf(latest, explanation?.outputs ?? null, unit)),
      share: explains === null ? null : (explanation?.units[unit] ?? null),
      digit: explains,
      scale: rangeOf(unit),
      palette: colours.bright,
    });
    controls.showRange(rangeOf(unit), view.shared ? "all tiles" : `unit ${unit}`);
  };
}

/** How each tile is marked: by what its unit does, as a share of what the strongest one does. */
function marksOf({ strengths }, { units, favourites }) {
  const most = strengths?.reduce((found, value) => Math.max(found, Math.abs(value)), 0) || 1;
  return units.map((unit) => ({
    share: strengths === null ? 0 : strengths[unit] / most,
    digit: favourites === null ? null : favourites[unit].digit,
  }));
}

/** What is laid over the sheet while a digit is explained, as panels/contributions.js takes it. */
function contributionsOf(network, seen, pointed) {
  if (seen === null || seen.explains === null || seen.placement === null) return null; // nothing asked, or nothing drawn
  const { input, explanation, placement, explains: digit } = seen;
  const alone = pointed !== null && explanation.units[pointed] !== 0;
  const pixels = alone ? pixelsThrough(network, input, explanation, pointed) : explanation.pixels;
  return { pixels, placement, digit, unit: alone ? pointed : null };
}

/** The colours of the page as canvases take them, read anew when the scheme changes. */
function createColours(onChange) {
  let colours = null;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = null;
    onChange();
  });
  function read() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    const stops = STOPS.map((stop) => parseHex(value(`--weight-${stop}`)));
    return {
      bright: createPalette(stops),
      faint: createPalette(stops, SILENT_STRENGTH),
      plus: value("--weight-plus"),
      minus: value("--weight-minus"),
      paper: value("--card"),
      ink: value("--ink"),
    };
  }
  return () => (colours ??= read());
}

function createControls(store, set) {
  const order = part("tile-order");
  const shared = part("shared-range");
  const [low, high, whose] = [part("legend-low"), part("legend-high"), document.querySelector("[data-part=legend-whose]")];
  const pager = document.querySelector("[data-part=tile-pager]");
  const [back, on] = pager.querySelectorAll("button");
  for (const [mode, words] of Object.entries(ORDERS)) order.append(new Option(words, mode));
  order.addEventListener("change", () => set({ order: order.value, page: 0 }));
  shared.addEventListener("change", () => store.dispatch({ type: "set", slice: "view", shared: shared.checked }));
  const turn = (pages) => () => set({ page: store.state.network.page + pages });
  back.addEventListener("click", turn(-1));
  on.addEventListener("click", turn(1));

  return {
    render({ latest, order: mode, page }, view) {
      if (order.value !== mode) order.value = mode;
      shared.checked = view.shared;
      const count = latest?.layers[0].outputs ?? 0;
      const first = page * TILES_PER_PAGE;
      if (count > 0 && first >= count) set({ page: 0 }); // a smaller network has taken its place
      pager.hidden = count <= TILES_PER_PAGE;
      back.disabled = page === 0;
      on.disabled = first + TILES_PER_PAGE >= count;
      setText(pager.querySelector("span"), `${first + 1} to ${Math.min(count, first + TILES_PER_PAGE)} of ${count}`);
    },

    /** The numbers at the ends of the colours. */
    showRange(range, owner) {
      setText(low, signed(-range));
      setText(high, signed(range));
      setText(whose, owner);
    },
  };
}

/** The sentences of the panel; while it trains they change no faster than one can read. */
function createWords() {
  const count = part("firing");
  const reason = part("reason");
  const empty = document.querySelector("[data-part=network-empty]");
  const problemNote = document.querySelector("[data-part=network-problem]");
  const view = document.querySelector("[data-part=tile-view]");
  let latest = null;
  let seen = null;

  function say() {
    const explanation = seen?.explanation ?? null;
    setText(count, latest === null ? "" : countWords(latest, explanation));
    setNote(reason, explanation === null ? null : reasonOf(latest, explanation));
  }
  const saySoon = throttle(say, WORDS_MS);

  return function render(network, sight, problem) {
    const isOther = sight?.input !== seen?.input || sight?.explains !== seen?.explains;
    const changed = sight !== seen || network !== latest;
    [latest, seen] = [network, sight];
    if (isOther) say();
    else if (changed) saySoon();
    setFlag(view, "empty", network === null);
    setNote(empty, emptyWords(network, sight));
    setNote(problemNote, problem);
  };
}

function emptyWords(network, seen) {
  if (network === null) {
    return "The weights have not come yet. When they do, each hidden unit is a small picture here: what it looks for.";
  }
  if (seen.input !== null) return null;
  return "Draw a digit: the units that fire on it light up, and a sentence here says why the network reads what it reads.";
}

function countWords({ layers }, explanation) {
  const [{ outputs: count }] = layers;
  if (layers.length === 1) return "no hidden units: each tile is one digit's own weights";
  if (explanation === null) return `${count} hidden ${count === 1 ? "unit" : "units"}`;
  const firing = explanation.outputs[0].filter((output) => output > 0).length;
  return `${firing} of ${count} units fire`;
}

function reasonOf({ layers }, explanation) {
  const logits = explanation.outputs.at(-1);
  const guess = logits.indexOf(Math.max(...logits));
  if (layers.length > 1) return reasonWords(explanation, guess);
  return `The score of ${explanation.digit} is ${signed(explanation.logit)}; the highest, of ${guess}, ${signed(logits[guess])}.`;
}
