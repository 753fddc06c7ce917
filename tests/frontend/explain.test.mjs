// Taking a logit apart: the parts add up to it, and each is what changing the network or the image says it is.
import assert from "node:assert/strict";
import test from "node:test";
import { bothSides, explainDigit, pixelsThrough, reasonWords, signed, votesOf } from "../../frontend/core/explain.js";
import { layerOutputs } from "../../frontend/core/network.js";
import { networkOf, sequence } from "./tensors.mjs";

const IMAGE = sequence(12, 99).map((value) => Math.max(0, value)); // some ink, some paper
const SHAPES = { "two layers": [12, 9, 4], "four layers": [12, 9, 7, 6, 4], "one layer": [12, 4] };

const sum = (values) => values.reduce((total, value) => total + value, 0);
const near = (a, b, words) => assert.ok(Math.abs(a - b) < 1e-4, `${words ?? ""} ${a} is not ${b}`);
const logitOf = (network, image, digit) => layerOutputs(network, image).at(-1)[digit];

for (const [name, sizes] of Object.entries(SHAPES)) {
  const network = networkOf(sizes);

  test(`${name}: what units and pixels add is the whole logit`, () => {
    for (let digit = 0; digit < 4; digit += 1) {
      const { logit, units, pixels } = explainDigit(network, IMAGE, digit);
      near(logit, logitOf(network, IMAGE, digit));
      near(sum(units), logit, "units");
      near(sum(pixels), logit, "pixels");
    }
  });

  test(`${name}: a pixel's part is its ink times the slope, by finite differences`, () => {
    const { pixels } = explainDigit(network, IMAGE, 2);
    IMAGE.forEach((ink, i) => {
      if (ink === 0) return assert.equal(pixels[i], 0);
      const step = 1 / 1024; // small enough that no unit starts or ceases to fire, large enough for float32
      const moved = IMAGE.map((value, k) => (k === i ? value + step : value));
      const slope = (logitOf(network, moved, 2) - logitOf(network, IMAGE, 2)) / step;
      assert.ok(Math.abs(pixels[i] - ink * slope) < 2e-3, `pixel ${i}`);
    });
  });

  test(`${name}: what comes through single units adds up to the pixel's part`, () => {
    const explanation = explainDigit(network, IMAGE, 1);
    const through = explanation.units.reduce((total, _, unit) => {
      const part = pixelsThrough(network, IMAGE, explanation, unit);
      near(sum(part), explanation.units[unit], `unit ${unit}`);
      return total.map((value, i) => value + part[i]);
    }, new Float32Array(IMAGE.length));
    through.forEach((value, i) => near(value, explanation.pixels[i], `pixel ${i}`));
  });

  test(`${name}: a unit's votes times its firing are what it adds to each logit`, () => {
    const outputs = layerOutputs(network, IMAGE);
    for (let unit = 0; unit < sizes[1]; unit += 1) {
      const votes = votesOf(network, outputs, unit);
      votes.forEach((vote, digit) => near(vote * outputs[0][unit], explainDigit(network, IMAGE, digit).units[unit]));
    }
  });
}

test("with biases, all that is missing to the logit is what they add", () => {
  const network = networkOf([12, 9, 4], { biases: true });
  const { logit, pixels, slopes } = explainDigit(network, IMAGE, 3);
  const [first, last] = network.layers;
  near(logit - sum(pixels), last.bias[3] + sum(first.bias.map((bias, j) => bias * slopes[j])));
});

test("a silent unit says nothing", () => {
  const { outputs, units } = explainDigit(networkOf([12, 9, 4]), IMAGE, 0);
  const silent = [...outputs[0].keys()].filter((unit) => outputs[0][unit] === 0);
  assert.ok(silent.length > 0 && silent.length < 9);
  for (const unit of silent) assert.equal(units[unit], 0);
});

test("in two layers a unit's votes are its row of the second matrix, drawn or not", () => {
  const network = networkOf([12, 9, 4]);
  assert.deepEqual(votesOf(network, null, 5), network.layers[1].matrix.slice(20, 24));
});

test("both sides, strongest first, and their sums", () => {
  const { pro, contra } = bothSides([1, -2, 0, 4, -0.5, 3, 2], 2);
  assert.deepEqual(pro, { sum: 10, units: [{ unit: 3, value: 4 }, { unit: 5, value: 3 }] });
  assert.deepEqual(contra, { sum: -2.5, units: [{ unit: 1, value: -2 }, { unit: 4, value: -0.5 }] });
});

const explanation = (digit, units, logits) => ({ digit, units, outputs: [units, logits] });

test("the reason names the units with what they say", () => {
  const units = [4.1, -0.8, 2.2, 3];
  assert.equal(
    reasonWords(explanation(1, units, [0, 8.5]), 1),
    "1, because units 0, 3 and 2 speak for it (+4.1, +3.0, +2.2), and little against (−0.80 in all).",
  );
  assert.equal(reasonWords(explanation(1, [0, 2], [0, 2]), 1), "1, because unit 1 speaks for it (+2.0), and none against.");
  assert.equal(reasonWords(explanation(0, [0, 0], [0, 0]), 0), "0, although no unit speaks for it, and none against.");
  assert.match(reasonWords(explanation(1, [3, -2], [0, 1]), 1), /and others against \(−2\.0 in all\)/);
});

test("the reason against another digit compares the scores", () => {
  assert.equal(
    reasonWords(explanation(0, [-3, 1, -1], [-3, 9]), 1),
    "Not 0: units 0 and 2 speak against it (−3.0, −1.0), and others for it (+1.0 in all). Its score is −3.0; that of 1, +9.0.",
  );
  assert.match(reasonWords(explanation(0, [2], [2, 3]), 1), /^Not 0: no unit speaks against it, and others for it/);
});

test("numbers have a sign unless they read as 0", () => {
  const numbers = [3.14, -0.04, 0.94, 12, -0.001, 0, NaN];
  assert.deepEqual(numbers.map(signed), ["+3.1", "−0.04", "+0.94", "+12.0", "0.00", "0.00", "–"]);
});
