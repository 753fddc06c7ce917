// The two versions that are compared: lists to choose them from, the newest first.

import { percent } from "../core/format.js";
import { part, setText } from "../dom.js";

export const LIVE = "live";
export const SIDES = ["a", "b"];

/** Returns what keeps the two lists up to date. */
export function createPickers(store) {
  const selects = SIDES.map((side) => part(`compare-${side}`));
  selects.forEach((select, nth) =>
    select.addEventListener("change", () => {
      const chosen = select.value === LIVE ? LIVE : Number(select.value);
      const pair = [...(store.state.view.compare ?? [null, null])];
      pair[nth] = chosen;
      pair[1 - nth] ??= chosen === LIVE ? (store.state.weights.versions[0]?.version ?? LIVE) : LIVE;
      store.dispatch({ type: "set", slice: "view", compare: pair });
    }),
  );
  let drawn = {};

  return function render({ weights, view }) {
    if (weights.versions === drawn.versions && view.compare === drawn.compare) return;
    drawn = { versions: weights.versions, compare: view.compare };
    const entries = optionsOf(weights.versions, view.compare);
    selects.forEach((select, nth) => {
      fillSelect(select, entries);
      select.value = String(view.compare?.[nth] ?? "");
    });
  };
}

/** [value, words] of each choice; one that a link names but that is no longer kept is there, too, and says so. */
function optionsOf(versions, compare) {
  const known = versions.map(({ version }) => version);
  const gone = (compare ?? []).filter((version) => version !== LIVE && !known.includes(version));
  return [
    ...(compare === null ? [["", "choose one"]] : []),
    [LIVE, "the live one"],
    ...versions.map((entry) => [String(entry.version), describe(entry)]),
    ...[...new Set(gone)].map((version) => [String(version), versions.length === 0 ? `${version}` : `${version}, no longer kept`]),
  ];
}

function describe({ version, name, origin, iteration, test_acc }) {
  const accuracy = Number.isFinite(test_acc) ? `, ${percent(test_acc)} %` : "";
  return `${version} ${name || origin}, iteration ${iteration}${accuracy}`;
}

/** Options are reused: a list that is open does not close when a version joins it. */
function fillSelect(select, entries) {
  entries.forEach(([value, words], nth) => {
    if (select.options[nth] === undefined) select.append(new Option());
    const option = select.options[nth];
    option.value = value;
    setText(option, words);
  });
  select.options.length = entries.length;
}
