// The page around the panels: which of them are shown, the link to it, the connection and the banner.

import { copyText } from "../clipboard.js";
import { PANELS } from "../core/view.js";
import { part, setFlag, setNote, setText } from "../dom.js";
import { addressOf } from "../link.js";

const FAILURES_BEFORE_BANNER = 1; // the first try again is almost at once, and mostly enough
const RELEASE_MS = 3000; // how long "Copied" stays

export function createPage(store) {
  const link = document.querySelector("[data-part=link]");
  const banner = document.querySelector("[data-part=banner]");
  const problem = document.querySelector("[data-part=link-problem]");
  const shareNote = document.querySelector("[data-part=share-note]");
  const whole = document.querySelector("[data-part=whole-page]");
  const renderPanels = createPanelSwitches(store);
  part("share").addEventListener("click", () => share(store));

  return function render(state) {
    const { connection, view, page } = state;
    setText(part("connection"), connection.status);
    setFlag(link, "up", connection.status === "connected");
    setFlag(document.body, "stale", connection.status === "reconnecting");
    setFlag(document.body, "embed", view.embed);
    setNote(banner, bannerWords(state));
    setNote(problem, page.linkProblem);
    setNote(shareNote, page.shareNote);
    if (view.embed) whole.href = addressOf({ ...view, embed: false }, state.drawing.pixels);
    renderPanels(view);
  };
}

function bannerWords({ connection, signal }) {
  if (connection.status === "reconnecting" && connection.failures >= FAILURES_BEFORE_BANNER) {
    return "The connection to the server is lost. Trying again; what you see is the last that came.";
  }
  return connection.status === "connected" ? (signal?.problem ?? null) : null;
}

async function share(store) {
  const { view, drawing } = store.state;
  const note = (await copyText(addressOf(view, drawing.pixels))) ? "Link copied." : "Copy the address of this page.";
  store.dispatch({ type: "set", slice: "page", shareNote: note });
  setTimeout(() => store.dispatch({ type: "set", slice: "page", shareNote: null }), RELEASE_MS);
}

const EMBEDDED = ["draw", "guess"];

/** A switch for each panel. Returns what shows and hides them. */
function createPanelSwitches(store) {
  const menu = document.querySelector("[data-part=view-menu]");
  const rows = PANELS.map((name) => {
    const panel = document.querySelector(`[data-panel=${name}]`);
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.dataset.testid = `view-${name}`;
    label.append(box, panel.querySelector("h2").textContent);
    menu.append(label);
    box.addEventListener("change", () => {
      const { hidden } = store.state.view;
      const others = hidden.filter((other) => other !== name);
      store.dispatch({ type: "set", slice: "view", hidden: box.checked ? others : [...others, name] });
    });
    return { name, panel, box };
  });
  closeWhenLeft(menu.closest("details"));

  return function render({ hidden, embed }) {
    for (const { name, panel, box } of rows) {
      const shown = embed ? EMBEDDED.includes(name) : !hidden.includes(name);
      setFlag(panel, "away", !shown);
      box.checked = shown;
    }
  };
}

/** A menu closes by Escape, and when one presses elsewhere. */
function closeWhenLeft(details) {
  document.addEventListener("pointerdown", ({ target }) => {
    if (!details.contains(target)) details.open = false;
  });
  details.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    details.open = false;
    details.querySelector("summary").focus();
  });
}
