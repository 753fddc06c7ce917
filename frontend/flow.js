// What flows along an arrow of the machine: a line, a number, and dots that move by the rate.
//
// The dots are plain elements over the picture, moved by `transform` alone: browsers do that without the main thread, which they
// cannot for dashes or shapes inside an SVG.

import { setFlag, setText } from "./dom.js";
import { setAttributes, svg } from "./svg.js";

const DOT_PITCH_PX = 20; // as in machine.css
const DOT_STEPS = 12; // positions of a dot on its way to the next: fewer frames to draw, and still a calm motion
const BASE_MS = 1000; // at a pace of 1
const HEAD_PX = 7;

/**
 * Draw a flow: its line in the SVG group `control`, its number in `label`, its dots in `stream`.
 * Returns {place(place), update(part, moving)}.
 */
export function createFlow(control, label, stream) {
  const line = svg("path", "flow-line", control);
  const heads = svg("path", "flow-head", control);
  const hit = svg("path", "flow-hit", control);
  const value = svg("text", "part-value", label);
  const unit = svg("text", "part-unit", label);
  let dots = [];

  return {
    place(place) {
      for (const dot of dots) dot.remove();
      dots = [];
      if (place === null) return;
      const stretches = [place.points, ...(place.more ?? [])];
      const path = stretches.map((points) => `M${points.map((point) => point.join(" ")).join("L")}`).join("");
      line.setAttribute("d", path);
      hit.setAttribute("d", path);
      heads.setAttribute("d", stretches.map(headOf).join(""));
      dots = stretches.flatMap((points) => points.slice(1).map((end, index) => {
        return createDots(stream, points[index], end, index === points.length - 2 ? HEAD_PX : 0);
      }));
      placeLabel(value, unit, place.label);
    },
    update(part, moving) {
      setText(value, part.value);
      setText(unit, part.unit);
      for (const dot of dots) dot.move(part.pace, moving);
    },
  };
}

function placeLabel(value, unit, label) {
  for (const text of [value, unit]) text.style.display = label ? "" : "none";
  if (!label) return;
  const { x, y, side } = label;
  const anchor = side === "over" ? "middle" : "start";
  setAttributes(value, { x, y: side === "over" ? y - 7 : y - 1, "text-anchor": anchor });
  setAttributes(unit, { x, y: side === "over" ? y + 16 : y + 13, "text-anchor": anchor });
}

/** The arrowhead at the end of a stretch, as path data. */
function headOf(points) {
  const [[x0, y0], [x, y]] = points.slice(-2);
  const length = Math.hypot(x - x0, y - y0);
  const [ux, uy] = [(x - x0) / length, (y - y0) / length];
  const side = (sign) => `${x - HEAD_PX * ux - sign * 4 * uy} ${y - HEAD_PX * uy + sign * 4 * ux}`;
  return `M${side(1)}L${x} ${y}L${side(-1)}Z`;
}

/**
 * A row of dots from one point to another, `shortBy` px before it. `move(pace, moving)`: a pace of 0 hides them, `moving` false
 * lets them stand.
 */
function createDots(stream, [x0, y0], [x, y], shortBy) {
  const track = document.createElement("div");
  const row = document.createElement("i");
  track.className = "dots";
  track.append(row);
  track.style.width = `${Math.max(0, Math.hypot(x - x0, y - y0) - shortBy)}px`;
  track.style.transform = `translate(${x0}px, ${y0 - 3}px) rotate(${Math.atan2(y - y0, x - x0)}rad)`;
  stream.append(track);
  let animation = null;
  let shown = 0;

  return {
    remove() {
      animation?.cancel();
      track.remove();
    },
    move(pace, moving) {
      setFlag(track, "on", pace > 0);
      if (pace === 0 || !moving) {
        animation?.cancel();
        animation = null;
        return;
      }
      if (animation === null) {
        const way = [{ transform: "none" }, { transform: `translateX(${DOT_PITCH_PX}px)` }];
        animation = row.animate(way, { duration: BASE_MS, iterations: Infinity, easing: `steps(${DOT_STEPS})` });
        shown = 1;
      }
      if (Math.abs(pace - shown) > 0.05 * shown) animation.updatePlaybackRate((shown = pace));
    },
  };
}
