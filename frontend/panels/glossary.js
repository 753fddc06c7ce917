// The glossary: every term that the page uses, in the order of a dictionary.

import { GLOSSARY } from "../core/glossary.js";

export function createGlossary() {
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
  return () => {}; // it never changes
}
