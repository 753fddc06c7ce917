// Writing to the page, only where something changed.

/** The element that carries this data-testid. */
export function part(testid) {
  return document.querySelector(`[data-testid="${testid}"]`);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show `text` in `element`, or hide the element where there is none. */
export function setNote(element, text) {
  setText(element, text ?? "");
  element.hidden = !text;
}

export function setFlag(element, name, on) {
  element.toggleAttribute(`data-${name}`, on);
}

/** Show that a control waits. One that is disabled would lose the focus; whoever hears its events sees to it that it does nothing. */
export function setBusy(element, busy) {
  if (busy) element.setAttribute("aria-disabled", "true");
  else element.removeAttribute("aria-disabled");
}
