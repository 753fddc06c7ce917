// How a person has set up the page: everything but the drawing that a link to it holds.

export const PANELS = ["draw", "guess", "training", "curves", "network", "machine", "quality", "weights", "glossary"];

export function initialView() {
  return {
    raw: false, // the drawing is sent as it is, not scaled and centred
    smoothing: 20, // iterations over which a curve is averaged; 0: not at all
    logarithmic: false, // the scale of the loss
    zoom: null, // [first, last] iteration shown, null: all
    shared: false, // one range of colours for all tiles, not one for each
    digit: null, // the digit that is explained
    compare: null, // [version, version] side by side
    hidden: [], // names of PANELS that are not shown
    embed: false, // the sheet and the guess alone
  };
}
