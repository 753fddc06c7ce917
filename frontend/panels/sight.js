// What the network makes of the drawing, and in which order its units are shown: worked out when what it depends on has changed.

import { explainDigit } from "../core/explain.js";
import { placementOf } from "../core/placement.js";
import { TILES_PER_PAGE, favouritesOf, orderUnits, rangesOf } from "../core/tiles.js";

const REORDER_MS = 1500; // tiles that jump about cannot be looked at

/** `onStale()` is called when the order of the tiles has become old and may change. */
export function createSight(onStale) {
  const ranges = remembered((network) => rangesOf(network.layers[0]));
  const place = remembered((input, drawing) => placementOf(drawing.pixels, input), 1); // the drawing of that moment
  const analyse = remembered((network, input, digit, guess) => ({
    input,
    ranges: ranges(network),
    // Of the digit that somebody asks about, else of the one that is read.
    explanation: input === null ? null : explainDigit(network, input, digit ?? guess),
    explains: digit,
  }));
  let order = { key: null, of: null, at: -Infinity, units: [], favourites: null };
  let timer = null;

  /** {input, ranges, explanation, explains, placement, strengths}; the last says how much each unit does for what is shown. */
  const look = remembered(
    (network, answer, digit, drawing) => {
      const input = drawing.blank ? null : (answer?.input ?? null);
      const seen = analyse(network, input, digit, answer?.digit ?? 0);
      const { explanation } = seen;
      const strengths = digit === null ? explanation?.outputs[0] : explanation?.units;
      return { ...seen, strengths: strengths ?? null, placement: input === null ? null : place(input, drawing) };
    },
    3, // the strokes since do not matter until they are answered
  );

  /** {units, favourites} of the page that is shown; `hold`: somebody looks at them, so that they keep their places. */
  function arrange(network, seen, { mode, page }, hold) {
    const count = network.layers[0].outputs;
    const key = `${mode} ${page} ${count}`;
    if (key === order.key && (order.of === seen || hold)) return order;
    const wait = key === order.key ? order.at + REORDER_MS - performance.now() : 0;
    clearTimeout(timer);
    if (wait > 0) {
      timer = setTimeout(onStale, wait);
      return order;
    }
    const favourites = mode === "digit" ? favouritesOf(network, seen.explanation?.outputs ?? null) : null;
    const units = orderUnits(mode, count, { strengths: seen.strengths, favourites });
    const shown = units.slice(page * TILES_PER_PAGE, (page + 1) * TILES_PER_PAGE);
    order = { key, of: seen, at: performance.now(), units: shown, favourites };
    return order;
  }

  return { look: ({ network, guess, view, drawing }) => look(network.latest, guess.answer, view.digit, drawing), arrange };
}

/** `compute`, done again only when one of its arguments, or of the first `count` of them, is another one. */
function remembered(compute, count = Infinity) {
  let known = null;
  let result;
  return (...given) => {
    const deciding = given.slice(0, count);
    if (known === null || !deciding.every((value, k) => value === known[k])) {
      result = compute(...given);
      known = deciding;
    }
    return result;
  };
}
