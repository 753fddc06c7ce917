import assert from "node:assert/strict";
import test from "node:test";
import { layerOutputs, readNetwork, softmax } from "../../frontend/core/network.js";
import { MalformedError } from "../../frontend/core/safetensors.js";
import { safetensors } from "./tensors.mjs";

const w1 = { shape: [3, 2], data: Float32Array.of(1, -1, 2, 0, -3, 4) };
const w2 = { shape: [2, 2], data: Float32Array.of(1, 2, 3, -4) };
const b1 = { shape: [2], data: Float32Array.of(0.5, -1) };
const b2 = { shape: [2], data: Float32Array.of(10, 20) };
const METADATA = { version: "12", iteration: "340" };

test("weights become layers, in order, with what is known of them", () => {
  const { layers, version, iteration } = readNetwork(safetensors({ w2, w1 }, METADATA));
  assert.deepEqual(
    layers.map(({ inputs, outputs, bias }) => [inputs, outputs, bias]),
    [
      [3, 2, null],
      [2, 2, null],
    ],
  );
  assert.deepEqual(layers[0].matrix, w1.data);
  assert.deepEqual([version, iteration], [12, 340]);
});

// By hand: (1, 0, 0.5) w1 = (1 - 1.5, -1 + 2) = (-0.5, 1), after ReLU (0, 1); times w2 = (3, -4).
test("each layer's output, after ReLU for all but the last", () => {
  const network = readNetwork(safetensors({ w1, w2 }, METADATA));
  assert.deepEqual(layerOutputs(network, [1, 0, 0.5]), [Float32Array.of(0, 1), Float32Array.of(3, -4)]);
});

// With biases: (-0.5 + 0.5, 1 - 1) = (0, 0), so that only the last biases are left.
test("biases are added before ReLU", () => {
  const network = readNetwork(safetensors({ w1, w2, b1, b2 }, METADATA));
  assert.deepEqual(layerOutputs(network, [1, 0, 0.5]), [Float32Array.of(0, 0), Float32Array.of(10, 20)]);
});

test("the biases are not changed by being used", () => {
  const network = readNetwork(safetensors({ w1, w2, b1, b2 }, METADATA));
  const [first, second] = [layerOutputs(network, [1, 1, 0]), layerOutputs(network, [1, 1, 0])];
  assert.deepEqual(first, second);
});

test("weights that make no network are refused with what does not fit", () => {
  const refuse = (tensors, words) =>
    assert.throws(
      () => readNetwork(safetensors(tensors, METADATA)),
      (error) => error instanceof MalformedError && words.test(error.message),
    );
  refuse({ w2 }, /no w1/);
  refuse({ w1, w2: w1 }, /layer 2 takes 3 inputs, not the 2 before it/);
  refuse({ w1: b1 }, /not the shape 2/);
  refuse({ w1: { shape: [3, 0], data: new Float32Array() } }, /not the shape 3,0/);
  refuse({ w1, w2, b1: { shape: [3], data: new Float32Array(3) } }, /3 biases do not fit a matrix of 2 outputs/);
});

test("probabilities add up to one, however large the logits", () => {
  const sum = softmax([1000, 999, -1000]).reduce((total, value) => total + value);
  assert.ok(Math.abs(sum - 1) < 1e-12);
  assert.ok(Math.abs(softmax([0, Math.log(3)])[1] - 0.75) < 1e-12);
});
