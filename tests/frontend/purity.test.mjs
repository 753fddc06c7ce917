// What computes stays apart from the page: nothing in core/ may know the DOM or anything outside core/.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

const CORE = new URL("../../frontend/core/", import.meta.url);

for (const name of readdirSync(CORE)) {
  test(`core/${name} touches no DOM and imports from core/ alone`, () => {
    const source = readFileSync(new URL(name, CORE), "utf8");
    assert.doesNotMatch(source, /\b(document|window|fetch|WebSocket|localStorage|navigator)\s*[.(]/);
    for (const [, path] of source.matchAll(/from "([^"]+)"/g)) assert.match(path, /^\.\/[a-z_]+\.js$/);
  });
}
