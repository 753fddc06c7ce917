// The address of the page follows the drawing and the view, and the other way round.

import { isBlank } from "./core/brush.js";
import { throttle } from "./core/coalesce.js";
import { readLink, writeLink } from "./core/link.js";

const WRITE_MS = 400; // browsers allow few changes of the address in a second

/** Take the view and the drawing from the address; keep the address up to date from then on. */
export function followLink(store) {
  const take = () => {
    const { view, pixels, problems } = readLink(location.search, location.hash.slice(1));
    store.dispatch({ type: "set", slice: "view", ...view });
    store.dispatch({ type: "set", slice: "page", linkProblem: problems.join(" ") || null });
    if (pixels !== null) store.dispatch({ type: "drawing", pixels });
  };
  const write = () => {
    const { view, drawing } = store.state;
    const address = addressOf(view, drawing.pixels);
    if (address !== location.href) history.replaceState(null, "", address);
  };
  const writeSoon = throttle(write, WRITE_MS);
  take();
  addEventListener("hashchange", take); // an address typed or pasted into this window
  store.subscribe((state, previous) => {
    if (state.view !== previous.view || state.drawing.revision !== previous.drawing.revision) writeSoon();
  });
}

/** The whole address of the page with this view and this drawing. */
export function addressOf(view, pixels) {
  const { query, hash } = writeLink(view, isBlank(pixels) ? null : pixels);
  return `${location.origin}${location.pathname}${query && `?${query}`}${hash && `#${hash}`}`;
}
