// Mouse, pen, finger and keyboard on a chart, as what they mean: look here, show this.

import { pan, pinch, shownRange, zoomBy, zoomTo } from "./core/zoom.js";

const DRAG_PX = 6; // less is a press
const KEY_STEPS = 60; // of the cursor from one end to the other
const KEY_ZOOM = 0.6;
const PAN_SHARE = 0.25;
const DOUBLE_TAP_MS = 350;

/**
 * Follow what a person does on `container`, which shows `chart`. `view()` gives {zoom, extent}, `cursor()` the iteration that
 * is looked at or null; `onLook(iteration, byKey)` and `onZoom(zoom)` hear what is wanted.
 */
export function followGestures(container, chart, { view, cursor, onLook, onZoom }) {
  followPointers(container, chart, { view, onLook, onZoom });
  container.addEventListener("dblclick", () => onZoom(null));
  container.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key];
    if (act === undefined) return;
    const { zoom, extent } = view();
    const range = shownRange(zoom, extent);
    const here = Math.min(range[1], Math.max(range[0], cursor() ?? range[1]));
    if (act({ zoom, extent, range, here, shift: event.shiftKey, onLook, onZoom }) !== false) event.preventDefault();
  });
  container.addEventListener("focus", () => {
    if (!container.matches(":focus-visible")) return;
    const [first, last] = shownRange(view().zoom, view().extent);
    onLook(Math.min(Math.max(cursor() ?? last, first), last), true);
  });
  container.addEventListener("blur", () => onLook(null, true));
}

/** Move the cursor by a step; past an edge of what is shown, that moves along. */
function step(direction) {
  return ({ zoom, extent, range, here, shift, onLook, onZoom }) => {
    if (shift) return onZoom(pan(zoom, direction * PAN_SHARE, extent));
    const to = Math.round(here + direction * Math.max(1, (range[1] - range[0]) / KEY_STEPS));
    if (to < range[0] || to > range[1]) onZoom(pan(zoom, direction * PAN_SHARE, extent));
    onLook(Math.min(extent[1], Math.max(extent[0], to)), true);
  };
}

const zoomKey =
  (factor) =>
  ({ zoom, extent, here, onZoom }) =>
    onZoom(zoomBy(zoom, factor, here, extent));
const reset = ({ zoom, onZoom }) => (zoom === null ? false : onZoom(null));

const KEYS = {
  ArrowLeft: step(-1),
  ArrowRight: step(1),
  Home: ({ range, onLook }) => onLook(range[0], true),
  End: ({ range, onLook }) => onLook(range[1], true),
  "+": zoomKey(KEY_ZOOM),
  "=": zoomKey(KEY_ZOOM),
  "-": zoomKey(1 / KEY_ZOOM),
  0: reset,
  Escape: reset,
};

/** One pointer looks, and by dragging chooses what to show; two hold on to the iterations under them. */
function followPointers(container, chart, { view, onLook, onZoom }) {
  const down = new Map(); // pointer id to where it is, and began: {x, startX, iteration}
  let lastTap = -Infinity;

  function iterationAt(clientX) {
    const [first, last] = shownRange(view().zoom, view().extent);
    return first + chart.shareAt(clientX) * (last - first);
  }

  const forget = () => {
    down.clear();
    chart.showSelection(null);
  };

  function dragged() {
    const [only] = down.values();
    return down.size === 1 && Math.abs(only.x - only.startX) >= DRAG_PX ? only : null;
  }

  function move(event) {
    const held = down.get(event.pointerId);
    if (held !== undefined) held.x = event.clientX;
    if (down.size === 2) {
      pinchNow();
      return;
    }
    const here = iterationAt(event.clientX);
    onLook(here, false);
    const drag = dragged();
    if (drag !== null) chart.showSelection([drag.iteration, here]);
  }

  function pinchNow() {
    const [left, right] = [...down.values()].sort((a, b) => a.iteration - b.iteration);
    const at = [left, right].map(({ x }) => chart.shareAt(x));
    onZoom(pinch([left.iteration, right.iteration], at, view().extent));
  }

  container.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || down.size === 2) return;
    container.setPointerCapture(event.pointerId);
    const x = event.clientX;
    down.set(event.pointerId, { x, startX: x, iteration: iterationAt(x) });
    if (down.size === 2) chart.showSelection(null);
    else onLook(iterationAt(x), false);
  });
  container.addEventListener("pointermove", move);
  container.addEventListener("pointerup", (event) => {
    const drag = dragged();
    if (drag !== null) onZoom(zoomTo(drag.iteration, iterationAt(event.clientX), view().extent));
    else if (event.pointerType !== "mouse" && down.size === 1) doubleTap(event);
    forget();
  });
  container.addEventListener("pointercancel", forget); // the browser took the gesture, to scroll the page
  container.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && down.size === 0) onLook(null, false);
  });

  /** A finger gives no dblclick where the browser has been told to leave its gestures alone. */
  function doubleTap({ timeStamp }) {
    if (timeStamp - lastTap < DOUBLE_TAP_MS) onZoom(null);
    lastTap = timeStamp;
  }
}
