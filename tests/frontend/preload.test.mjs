// What the page needs at first is named in its head, so that the browser asks for all of it at once and not import by import.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const FRONTEND = new URL("../../frontend/", import.meta.url);

/** main.js and all that it imports, and what that imports, but for what is imported only when it is needed. */
function firstModules(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const url = new URL(name, FRONTEND);
  for (const [, path] of readFileSync(url, "utf8").matchAll(/^(?:import|export) [^;]*?"(\.[^"]+)"/gms)) {
    firstModules(new URL(path, url).href.slice(FRONTEND.href.length), found);
  }
  return found;
}

test("the head of the page preloads exactly the modules that it needs at first", () => {
  const html = readFileSync(new URL("index.html", FRONTEND), "utf8");
  const preloaded = [...html.matchAll(/<link rel="modulepreload" href="([^"]+)">/g)].map(([, path]) => path);
  const needed = [...firstModules("main.js")].filter((name) => name !== "main.js").sort();
  assert.ok(needed.length > 30);
  const lines = needed.map((name) => `  <link rel="modulepreload" href="${name}">`).join("\n");
  assert.deepEqual(preloaded, needed, `index.html has to say:\n${lines}\n`);
});
