// The help on the page and the table of terms belong together.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { GLOSSARY } from "../../frontend/core/glossary.js";

const FRONTEND = new URL("../../frontend/", import.meta.url);
const html = readFileSync(new URL("index.html", FRONTEND), "utf8");
const panels = readdirSync(new URL("panels/", FRONTEND)).map((name) => readFileSync(new URL(`panels/${name}`, FRONTEND), "utf8"));

test("every help button names a term of the glossary", () => {
  const named = [...html.matchAll(/data-help="([^"]+)"/g)].map(([, term]) => term);
  assert.ok(named.length > 5);
  assert.deepEqual(named.filter((term) => GLOSSARY[term] === undefined), []);
});

test("every term has a help button, in plain sentences", () => {
  for (const [term, { short, more }] of Object.entries(GLOSSARY)) {
    assert.ok([html, ...panels].some((source) => source.includes(`"${term}"`)), `nobody asks for “${term}”`);
    for (const text of [short, more ?? "."]) assert.match(text, /\.$/, term);
    assert.ok(short.length < 240, `“${term}” is explained at length`);
  }
});
