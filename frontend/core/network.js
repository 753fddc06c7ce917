// The network as the page computes with it: its layers, and what an image does to them.

import { MalformedError, readSafetensors } from "./safetensors.js";

/**
 * Read weights from safetensors bytes (an ArrayBuffer): {layers, version, iteration}. A layer is {inputs, outputs,
 * matrix, bias}: `matrix` a Float32Array (inputs x outputs), row by row, `bias` (outputs) or null. Throws MalformedError.
 */
export function readNetwork(buffer) {
  const { tensors, metadata } = readSafetensors(buffer);
  const layers = [];
  for (let k = 1; tensors[`w${k}`] !== undefined; k += 1) layers.push(layerOf(tensors[`w${k}`], tensors[`b${k}`]));
  if (layers.length === 0) throw new MalformedError(`no w1 among the tensors ${Object.keys(tensors)}`);
  layers.slice(1).forEach((layer, k) => {
    const before = layers[k].outputs;
    if (layer.inputs !== before) throw new MalformedError(`layer ${k + 2} takes ${layer.inputs} inputs, not the ${before} before it`);
  });
  return { layers, version: Number(metadata.version), iteration: Number(metadata.iteration) };
}

function layerOf({ shape, data }, bias) {
  const [inputs, outputs] = shape;
  if (shape.length !== 2 || data.length === 0) throw new MalformedError(`a matrix has two dimensions, not the shape ${shape}`);
  if (bias !== undefined && bias.data.length !== outputs) {
    throw new MalformedError(`${bias.data.length} biases do not fit a matrix of ${outputs} outputs`);
  }
  return { inputs, outputs, matrix: data, bias: bias?.data ?? null };
}

/**
 * What each layer puts out for one image (inputs): a list of Float32Array (outputs of the layer), after ReLU for all
 * but the last, which are the logits.
 */
export function layerOutputs(network, image) {
  const outputs = [];
  let signal = image;
  network.layers.forEach((layer, k) => {
    signal = multiply(signal, layer);
    if (k < network.layers.length - 1) signal = signal.map((value) => Math.max(0, value));
    outputs.push(signal);
  });
  return outputs;
}

function multiply(signal, { inputs, outputs, matrix, bias }) {
  const result = bias === null ? new Float32Array(outputs) : bias.slice();
  for (let i = 0; i < inputs; i += 1) {
    const value = signal[i];
    if (value === 0) continue; // most of a drawing is paper
    const row = i * outputs;
    for (let j = 0; j < outputs; j += 1) result[j] += value * matrix[row + j];
  }
  return result;
}

/** The probabilities of the logits; the largest is taken off first, so that no exponential overflows. */
export function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
