// Help: a short text beside each control.

const MARGIN_PX = 8;

export function createHelp() {
  const popover = document.querySelector("[data-part=help]");
  const [title, short, more] = popover.children;
  let asked = null; // the button whose help is shown

  for (const button of document.querySelectorAll("[data-help]")) {
    const term = button.dataset.help;
    button.textContent = "?";
    button.setAttribute("aria-label", `What is “${term}”?`);
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", async () => {
      const { GLOSSARY } = await import("../core/glossary.js"); // fetched by those who ask
      const { short: words, more: effect } = GLOSSARY[term];
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
