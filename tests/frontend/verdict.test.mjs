import assert from "node:assert/strict";
import test from "node:test";
import { verdict } from "../../frontend/core/verdict.js";

const DRAWN = { blank: false };
function answer(...pairs) {
  const probabilities = new Array(10).fill(0);
  for (const [digit, probability] of pairs) probabilities[digit] = probability;
  return { digit: pairs[0][0], probabilities, iteration: 40 };
}

test("a sure answer is told with its probability and the training behind it", () => {
  const { sentence, spoken, unsure } = verdict(DRAWN, answer([7, 0.913], [1, 0.087]), null);
  assert.equal(sentence, "91.3 % sure, after 40 iterations of training");
  assert.equal(spoken, "The network reads 7.");
  assert.equal(unsure, false);
});

test("below 0.6 it says that it is not sure, and what else it may be", () => {
  const { sentence, spoken, unsure } = verdict(DRAWN, answer([4, 0.59], [9, 0.41]), null);
  assert.match(sentence, /^Not sure: 4 \(59.0 %\), or 9 \(41.0 %\)/);
  assert.equal(spoken, "The network is not sure: 4 or 9.");
  assert.equal(unsure, true);
  assert.equal(verdict(DRAWN, answer([4, 0.6], [9, 0.4]), null).unsure, false);
});

test("without a drawing, an answer or a server there is nothing to be spoken", () => {
  assert.deepEqual(verdict({ blank: true }, answer([1, 1]), null), { sentence: "Nothing drawn yet.", spoken: "", unsure: false });
  assert.equal(verdict(DRAWN, null, null).sentence, "Reading…");
  assert.equal(verdict(DRAWN, null, "The server cannot be reached.").sentence, "The server cannot be reached.");
});
