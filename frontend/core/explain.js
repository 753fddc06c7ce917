// Why the network says what it says: each logit taken apart into what hidden units and pixels add to it.
//
// A network of ReLUs is linear as long as the same units fire. So the gradient of a logit, times what it is the gradient by,
// adds up to the logit itself (less what the biases add): nothing is left over.

import { layerOutputs } from "./network.js";

/**
 * Take the logit of `digit` for `image` apart: {digit, outputs, logit, slopes, units, pixels}. `outputs` is that of layerOutputs;
 * `units` holds what each output of the first layer adds to the logit, `pixels` what each input does, `slopes` the logit's gradient
 * by what goes into each unit before its ReLU: 0 for those that are silent.
 */
export function explainDigit(network, image, digit) {
  const outputs = layerOutputs(network, image);
  const logit = outputs.at(-1)[digit];
  const slopes = slopesOfFirst(network, outputs, digit);
  const units = outputs[0].map((output, j) => output * slopes[j]);
  return { digit, outputs, logit, slopes, units, pixels: pixelShares(network.layers[0], image, slopes) };
}

/** Back-propagation of one logit, down to what goes into the first layer's units. */
function slopesOfFirst({ layers }, outputs, digit) {
  let slopes = new Float32Array(layers.at(-1).outputs);
  slopes[digit] = 1;
  for (let k = layers.length - 1; k > 0; k -= 1) {
    const { inputs, outputs: count, matrix } = layers[k];
    const before = new Float32Array(inputs);
    for (let i = 0; i < inputs; i += 1) {
      if (!(outputs[k - 1][i] > 0)) continue; // a silent unit passes nothing on
      for (let j = 0; j < count; j += 1) before[i] += matrix[i * count + j] * slopes[j];
    }
    slopes = before;
  }
  return slopes;
}

function pixelShares({ inputs, outputs, matrix }, image, slopes) {
  const pixels = new Float32Array(inputs);
  for (let i = 0; i < inputs; i += 1) {
    if (image[i] === 0) continue;
    let slope = 0;
    for (let j = 0; j < outputs; j += 1) slope += matrix[i * outputs + j] * slopes[j];
    pixels[i] = image[i] * slope;
  }
  return pixels;
}

/** What each pixel of `image` adds to the explained logit through the one unit. */
export function pixelsThrough(network, image, { slopes }, unit) {
  const { outputs, matrix } = network.layers[0];
  return image.map((ink, i) => ink * matrix[i * outputs + unit] * slopes[unit]);
}

/**
 * What one more of a unit's firing adds to each of the ten logits. In a network of two layers that is the unit's row of the second
 * matrix; in a deeper one it depends on which later units fire: those of `outputs`, or all where that is null.
 */
export function votesOf({ layers }, outputs, unit) {
  let signal = new Float32Array(layers[0].outputs);
  signal[unit] = 1;
  for (let k = 1; k < layers.length; k += 1) {
    const { inputs, outputs: count, matrix } = layers[k];
    const next = new Float32Array(count);
    for (let i = 0; i < inputs; i += 1) {
      if (signal[i] === 0) continue;
      for (let j = 0; j < count; j += 1) next[j] += signal[i] * matrix[i * count + j];
    }
    const isLast = k === layers.length - 1;
    signal = isLast || outputs === null ? next : next.map((value, j) => (outputs[k][j] > 0 ? value : 0));
  }
  return signal;
}

/** The sums of what speaks for and of what speaks against, and the strongest of each, strongest first. */
export function bothSides(contributions, most = 3) {
  const units = Array.from(contributions, (value, unit) => ({ unit, value }));
  const pro = units.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  const contra = units.filter(({ value }) => value < 0).sort((a, b) => a.value - b.value);
  const sum = (side) => side.reduce((total, { value }) => total + value, 0);
  return { pro: { sum: sum(pro), units: pro.slice(0, most) }, contra: { sum: sum(contra), units: contra.slice(0, most) } };
}

/**
 * Why the network reads, or does not read, the explained digit, in one sentence. `guess`: the digit that it reads.
 */
export function reasonWords({ digit, units, outputs }, guess) {
  const { pro, contra } = bothSides(units);
  const score = (of) => signed(outputs.at(-1)[of]);
  if (digit === guess) {
    const because = pro.units.length > 0 ? `because ${speaking(pro.units, "for it")}` : "although no unit speaks for it";
    return `${digit}, ${because}, and ${opposition(pro, contra)}.`;
  }
  const because = contra.units.length > 0 ? speaking(contra.units, "against it") : "no unit speaks against it";
  const scores = `Its score is ${score(digit)}; that of ${guess}, ${score(guess)}.`;
  return `Not ${digit}: ${because}, and ${inAll(pro.sum, "for it")}. ${scores}`;
}

function speaking(units, side) {
  const names = listed(units.map(({ unit }) => String(unit)));
  const verb = units.length === 1 ? `unit ${names} speaks` : `units ${names} speak`;
  return `${verb} ${side} (${units.map(({ value }) => signed(value)).join(", ")})`;
}

function opposition(pro, contra) {
  if (contra.sum === 0) return "none against";
  const little = -contra.sum < pro.sum / 3 ? "little" : "others";
  return `${little} against (${signed(contra.sum)} in all)`;
}

const inAll = (sum, side) => (sum === 0 ? `none ${side}` : `others ${side} (${signed(sum)} in all)`);

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A number with its sign, by a true minus: "+4.1", "−0.82", "0.00"; two decimals below one. */
export function signed(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value).toFixed(Math.abs(value) < 0.95 ? 2 : 1);
  if (Number(size) === 0) return size;
  return `${value < 0 ? "−" : "+"}${size}`;
}
