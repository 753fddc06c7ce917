// Which iterations a chart shows: [first, last], whole numbers, or null for all there are.

const FEWEST_ITERATIONS = 10;

/** The range that is shown: the zoom, or everything; a curve that has hardly begun is not stretched over the whole width. */
export function shownRange(zoom, [first, last]) {
  if (zoom !== null && zoom[0] < zoom[1]) return zoom; // a link may say anything
  return [first, Math.max(last, first + FEWEST_ITERATIONS)];
}

/** The zoom that shows `from` to `to`, in either order, within the run's `extent`; null where that is all of it. */
export function zoomTo(from, to, [first, last]) {
  const missing = Math.max(0, FEWEST_ITERATIONS - Math.abs(to - from)) / 2;
  let low = Math.max(first, Math.round(Math.min(from, to) - missing));
  let high = Math.min(last, Math.round(Math.max(from, to) + missing));
  if (high - low < FEWEST_ITERATIONS) {
    low = Math.max(first, Math.min(low, last - FEWEST_ITERATIONS));
    high = Math.min(last, low + FEWEST_ITERATIONS);
  }
  return low <= first && high >= last ? null : [low, high];
}

/** Show `factor` times as many iterations, `centre` staying where it is. */
export function zoomBy(zoom, factor, centre, extent) {
  const [low, high] = shownRange(zoom, extent);
  return zoomTo(centre - (centre - low) * factor, centre + (high - centre) * factor, extent);
}

/** Move what is shown by this share of its width, not beyond the ends of the run. */
export function pan(zoom, share, extent) {
  if (zoom === null) return null;
  const [low, high] = zoom;
  const wanted = Math.round((high - low) * share);
  const by = Math.max(extent[0] - low, Math.min(extent[1] - high, wanted));
  return by === 0 || Math.sign(by) !== Math.sign(wanted) ? zoom : [low + by, high + by];
}

/** The zoom under two fingers: the iterations that they took hold of, `held`, are at the shares `at` of the width. */
export function pinch(held, at, extent) {
  const width = (held[1] - held[0]) / (at[1] - at[0]);
  if (!Number.isFinite(width) || width <= 0) return null;
  const low = held[0] - at[0] * width;
  return zoomTo(low, low + width, extent);
}
