// The rows of the history, one for each version: made once, changed in place, moved only where their order changes.

import { fixed, loss, moment, whole } from "../core/format.js";
import { accuracyShare, ago, originWords } from "../core/versions.js";
import { setText } from "../dom.js";

const TICK_MS = 10_000; // how often "2 min ago" is looked at

/** Rows in `body`, made from `template`. */
export function createRows(body, template) {
  const rows = new Map(); // version to its row, the cells of it and what they show
  let marked = null; // the live version
  let tickedAt = 0;

  function rowFor(version) {
    if (!rows.has(version)) rows.set(version, makeRow(template, version));
    return rows.get(version);
  }

  return {
    /** Show these versions in this order; `best` is the number of the best one. */
    show(versions, best) {
      const focused = body.contains(document.activeElement) ? document.activeElement : null;
      const wanted = new Set(versions.map(({ version }) => version));
      for (const [version, { row }] of rows) {
        if (wanted.has(version)) continue;
        row.remove();
        rows.delete(version);
      }
      let next = body.firstElementChild;
      for (const entry of versions) {
        const record = rowFor(entry.version);
        const isBest = entry.version === best;
        if (record.entry !== entry || record.isBest !== isBest) fill(record, entry, isBest);
        if (record.row === next) next = next.nextElementSibling;
        else body.insertBefore(record.row, next);
      }
      if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true }); // its row was moved
    },

    /** Say anew how old the versions are, if that was not said a moment ago. `now` in ms. */
    tick(now) {
      if (Math.abs(now - tickedAt) < TICK_MS) return;
      tickedAt = now;
      for (const { cells, entry } of rows.values()) setText(cells.ago, ago(entry.created, now));
    },

    /** Mark the live version and the chosen one. */
    mark(live, selected) {
      if (marked !== live) setLive(rows.get(marked), false);
      setLive(rows.get(live), true);
      const chosen = rows.get(selected);
      if (chosen?.radio.checked === false) chosen.radio.checked = true;
      marked = live;
    },
  };
}

function makeRow(template, version) {
  const row = template.content.firstElementChild.cloneNode(true);
  const cells = Object.fromEntries([...row.querySelectorAll("[data-cell]")].map((cell) => [cell.dataset.cell, cell]));
  const radio = row.querySelector("input");
  radio.value = String(version);
  setText(cells.number, String(version));
  cells.live.hidden = true;
  return { row, cells, radio, entry: null, isBest: false };
}

function fill(record, entry, isBest) {
  const { cells, radio, row } = record;
  const { version, name, created, test_acc } = entry;
  radio.setAttribute("aria-label", `Choose version ${version}${name ? `, ${name}` : ""}`);
  setText(cells.name, name ?? "");
  setText(cells.origin, originWords(entry.origin));
  setText(cells.iteration, whole(entry.iteration));
  setText(cells.loss, loss(entry.loss));
  setText(cells.accuracy, fixed(test_acc, 4));
  cells.bar.style.width = `${100 * (accuracyShare(test_acc) ?? 0)}%`;
  cells.best.hidden = !isBest;
  row.toggleAttribute("data-best", isBest);
  setText(cells.time, moment(created));
  setText(cells.ago, ago(created, Date.now()));
  cells.time.dateTime = created;
  cells.time.title = new Date(created).toLocaleString();
  Object.assign(record, { entry, isBest });
}

function setLive(record, on) {
  if (record === undefined || record.cells.live.hidden === !on) return;
  record.cells.live.hidden = !on;
  record.row.toggleAttribute("data-live", on);
}
