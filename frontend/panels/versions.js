// The history of the weights: a list to choose one version from, and what can be done with it.

import * as api from "../api.js";
import { bestVersion, liveEntry, neighbourOf, nextSort, pageOf, sortVersions } from "../core/versions.js";
import { part, setBusy, setFlag, setText } from "../dom.js";
import { createRows } from "./version_rows.js";

const ASK_MS = 6_000;

/** `act(words, action)` runs an action with its progress and errors shown; `download(version)` fetches a file. */
export function createVersionList(store, act, download) {
  const set = (fields) => store.dispatch({ type: "set", slice: "weights", ...fields });
  const body = document.querySelector("[data-part=version-rows]");
  const renderers = [createTable(set, store, body), createActions(store, set, act, download, body), createRename(store, set, act, body)];
  return function render(state) {
    for (const renderPart of renderers) renderPart(state);
  };
}

function createTable(set, store, body) {
  const table = part("weights-versions");
  const heads = [...table.querySelectorAll("[data-sort]")];
  const none = document.querySelector("[data-part=no-versions]");
  const renderPager = createPager(set, store);
  const rows = createRows(body, document.querySelector("[data-part=version-row]"));
  let drawn = {};

  for (const head of heads) {
    head.addEventListener("click", () => set({ sort: nextSort(store.state.weights.sort, head.dataset.sort), page: 0, renaming: null }));
  }
  body.addEventListener("change", ({ target }) => {
    if (target.name === "version") set({ selected: Number(target.value), asked: null, renaming: null });
  });
  body.addEventListener("click", ({ target }) => {
    const radio = target.closest("tr")?.querySelector("input[type=radio]");
    if (radio && !radio.checked && !target.closest("input, button, form")) radio.click();
  });

  return function render({ weights, signal }) {
    const { versions, sort, page, selected } = weights;
    const turned = drawn.sort !== sort || drawn.page !== page;
    if (turned || drawn.versions !== versions) {
      const now = pageOf(sortVersions(versions, sort), page);
      rows.show(now.shown, bestVersion(versions));
      renderPager(now);
      none.hidden = versions.length > 0;
      table.hidden = versions.length === 0;
      for (const head of heads) markSorted(head, sort);
      if (turned) table.parentElement.scrollTop = 0;
    }
    drawn = weights;
    rows.tick(Date.now());
    const live = Math.max(signal?.version ?? 0, weights.live ?? 0); // the greater is the newer one
    rows.mark(liveEntry(versions, live, signal)?.version ?? null, selected);
  };
}

/** Which part of a long list is shown, and the ways to the others. */
function createPager(set, store) {
  const pager = document.querySelector("[data-part=versions-pager]");
  const [back, shown, on] = ["versions-back", "versions-shown", "versions-on"].map(part);
  let now = null;
  const turn = (by) => {
    const { page } = pageOf(store.state.weights.versions, now.page + by);
    if (page !== now.page) set({ page, renaming: null });
  };
  back.addEventListener("click", () => turn(-1));
  on.addEventListener("click", () => turn(1));

  return function render(page) {
    const { first, last, total } = page;
    now = page;
    pager.hidden = last - first + 1 >= total;
    setText(shown, `${first} to ${last} of ${total}`);
    setBusy(back, first === 1); // not disabled: it may have the focus
    setBusy(on, last === total);
  };
}

function markSorted(head, { key, descending }) {
  const column = head.closest("th");
  if (head.dataset.sort === key) column.setAttribute("aria-sort", descending ? "descending" : "ascending");
  else column.removeAttribute("aria-sort");
}

function createActions(store, set, act, download, body) {
  const chosen = document.querySelector("[data-part=chosen-version]");
  const question = document.querySelector("[data-part=delete-words]");
  const erase = part("version-delete");
  const fetchIt = part("version-download");
  const compare = part("version-compare");
  const format = part("weights-format");
  const selected = () => store.state.weights.selected;

  part("weights-restore").addEventListener("click", () => act("Restoring…", () => restore(selected()), { replaces: true }));
  fetchIt.addEventListener("click", () => act("Downloading…", () => download(selected())));
  compare.addEventListener("click", () => showComparison(store, [selected(), "live"]));
  erase.addEventListener("click", ({ detail }) => {
    if (detail > 1) return; // a double click is no second thought
    const version = selected();
    if (store.state.weights.busy !== null) return;
    if (store.state.weights.asked === version) eraseNow(version);
    else ask(version);
  });

  function ask(version) {
    set({ asked: version });
    setTimeout(() => store.state.weights.asked === version && set({ asked: null }), ASK_MS);
  }

  async function eraseNow(version) {
    const next = neighbourOf(sortVersions(store.state.weights.versions, store.state.weights.sort), version);
    const done = await act("Deleting…", () => remove(version));
    if (done && store.state.weights.versions.some((entry) => entry.version === next)) set({ selected: next });
    if (document.activeElement === document.body) body.querySelector("input:checked")?.focus({ preventScroll: true });
  }

  const buttons = ["weights-restore", "version-rename", "version-compare", "version-download", "version-delete"].map(part);
  format.addEventListener("change", () => setText(fetchIt, `Download as ${format.value}`));
  setText(fetchIt, `Download as ${format.value}`);

  return function render({ weights }) {
    for (const button of buttons) {
      button.disabled = weights.selected === null;
      setBusy(button, weights.busy !== null);
    }
    const entry = weights.versions.find(({ version }) => version === weights.selected);
    setText(chosen, entry === undefined ? "Choose a version." : `With version ${entry.version}${entry.name ? `, “${entry.name}”` : ""}:`);
    setText(erase, weights.asked === null ? "Delete" : `Really delete ${weights.asked}?`);
    setText(question, weights.asked === null ? "" : `Press again to delete version ${weights.asked} for good.`);
    setFlag(erase, "sure", weights.asked !== null);
  };
}

async function restore(version) {
  const answer = await api.restoreVersion(version);
  return { version: answer.version, note: `Version ${version} is live again, as version ${answer.version}. What was live before is in the list.` };
}

async function remove(version) {
  await api.deleteVersion(version);
  return { note: `Version ${version} is deleted.` };
}

/** Two versions side by side, where that is shown. */
function showComparison(store, versions) {
  const { hidden } = store.state.view;
  store.dispatch({ type: "set", slice: "view", compare: versions, hidden: hidden.filter((name) => name !== "quality") });
  requestAnimationFrame(() => {
    const place = document.querySelector("[data-panel=quality] .compare") ?? document.querySelector("[data-panel=quality]");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    place.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    place.querySelector("select")?.focus({ preventScroll: true });
  });
}

/** The name of the chosen version, written in its row. */
function createRename(store, set, act, body) {
  const form = document.querySelector("[data-part=rename-form]");
  const input = part("version-new-name");
  const button = part("version-rename");
  let open = null;

  button.addEventListener("click", () => {
    const { selected, renaming, busy } = store.state.weights;
    if (busy === null) set({ renaming: renaming === selected ? null : selected, asked: null });
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const version = store.state.weights.renaming;
    const name = input.value.trim() || null;
    const done = await act("Renaming…", async () => {
      await api.renameVersion(version, name);
      return { note: name === null ? `Version ${version} has no name now.` : `Version ${version} is now “${name}”.` };
    });
    if (done) close(version);
  });
  input.addEventListener("keydown", ({ key }) => key === "Escape" && close(store.state.weights.renaming));

  function close(version) {
    if (form.contains(document.activeElement)) body.querySelector(`input[value="${version}"]`)?.focus({ preventScroll: true });
    set({ renaming: null });
  }

  return function render({ weights }) {
    const { renaming } = weights;
    if (renaming === open) return;
    open = renaming;
    const cell = body.querySelector(`input[value="${renaming}"]`)?.closest("tr").querySelector(".version-name");
    form.hidden = cell === undefined;
    if (cell === undefined) return;
    cell.append(form);
    input.value = weights.versions.find(({ version }) => version === renaming)?.name ?? "";
    input.focus();
    input.select();
  };
}
