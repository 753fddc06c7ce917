// Help: a short text beside each control, and all of them as a glossary.

import { GLOSSARY } from "../core/glossary.js";

const MARGIN_PX = 8;

export function createHelp() {
  const popover = document.querySelector("[data-part=help]");
  const [title, short, more] = popover.children;
  let asked = null; // the button whose help is shown

  for (const button of document.querySelectorAll("[data-help]")) {
    const term = button.dataset.help;
    const { short: words, more: effect } = GLOSSARY[term];
    button.textContent = "?";
    button.setAttribute("aria-label", `What is “${term}”?`);
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const again = asked === button && popover.matches(":popover-open");
      popover.hidePopover();
      if (again) return;
      asked = button;
      title.textContent = term;
      short.textContent = words;
      more.textContent = effect ?? "";
      button.after(popover); // next in the order of reading and of the focus
      popover.showPopover();
      placeNear(popover, button);
    });
  }
  popover.addEventListener("toggle", ({ newState }) => {
    asked?.setAttribute("aria-expanded", String(newState === "open"));
  });
  fillGlossary();
}

/** Below the button where there is room, else above; never beyond the sides of the window. */
function placeNear(popover, button) {
  const near = button.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const { clientWidth, clientHeight } = document.documentElement;
  const below = near.bottom + MARGIN_PX + height < clientHeight;
  const left = Math.min(clientWidth - width - MARGIN_PX, Math.max(MARGIN_PX, near.left + near.width / 2 - width / 2));
  popover.style.left = `${left}px`;
  popover.style.top = `${below ? near.bottom + MARGIN_PX : Math.max(MARGIN_PX, near.top - MARGIN_PX - height)}px`;
}

function fillGlossary() {
  const list = document.querySelector("[data-part=glossary]");
  for (const term of Object.keys(GLOSSARY).sort((a, b) => a.localeCompare(b, "en"))) {
    const { short, more } = GLOSSARY[term];
    const row = document.createElement("div");
    const name = document.createElement("dt");
    const words = document.createElement("dd");
    name.textContent = term;
    words.textContent = more === undefined ? short : `${short} ${more}`;
    row.append(name, words);
    list.append(row);
  }
}
