// Elements of an SVG.

const SVG = "http://www.w3.org/2000/svg";

/** A new element, at the end of `parent` if there is one. */
export function svg(name, className, parent) {
  const element = document.createElementNS(SVG, name);
  if (className) element.setAttribute("class", className);
  parent?.append(element);
  return element;
}

export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
