// Training as people write it in TensorFlow.js, on its WebAssembly backend under Node:
//
//     node bench/peers/tfjs_train.mjs FOLDER
//
// FOLDER holds MNIST's IDX files, packed or not. Loads them, says {"ready": true, ...}, and then
// answers {"do": "train", "seconds": 4} with {"iterations_per_s", "loss"}; `hidden_units` and
// `batch_size` (128) may be given. Each is a line of JSON. Between two commands it does nothing.
//
// The network is 784-128-10 with ReLU, without biases. Batches are cut at random from the pixels in
// memory; the loss of every iteration is fetched. The backend uses SIMD; under Node it has no threads.
// Most of an iteration goes into the gradient of the first matrix: a product with a transposed matrix,
// for which the backend has no fast kernel. It does not help to transpose first.

import {existsSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {dirname, join} from "node:path";
import {createInterface} from "node:readline";
import {gunzipSync} from "node:zlib";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const {setWasmPaths} = require("@tensorflow/tfjs-backend-wasm");

const INPUTS = 784;
const CLASSES = 10;
const LEARNING_RATE = 0.1;
const WARM_UP = 20; // iterations before the clock starts

function idx(path, headerBytes) {
  const content = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  return new Uint8Array(content).subarray(headerBytes);
}

/** Numbers of the normal distribution, by Box and Muller, times `deviation`. */
function normal(count, deviation) {
  return Float32Array.from({length: count}, () =>
    deviation * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

class Training {
  constructor(data, {hidden_units: hidden = 128, batch_size: size = 128}) {
    this.data = data;
    this.size = size;
    this.pixels = new Float32Array(size * INPUTS);
    this.labels = new Int32Array(size);
    this.w1 = tf.variable(tf.tensor2d(normal(INPUTS * hidden, Math.sqrt(2 / INPUTS)), [INPUTS, hidden]));
    this.w2 = tf.variable(tf.tensor2d(normal(hidden * CLASSES, Math.sqrt(2 / hidden)), [hidden, CLASSES]));
    this.optimizer = tf.train.sgd(LEARNING_RATE);
  }

  /** Fill `pixels` and `labels` with examples picked at random. */
  cut() {
    const {images, labels} = this.data;
    for (let row = 0; row < this.size; row++) {
      const from = Math.floor(Math.random() * labels.length);
      this.labels[row] = labels[from];
      for (let i = 0; i < INPUTS; i++) this.pixels[row * INPUTS + i] = images[from * INPUTS + i] / 255;
    }
  }

  /** Train one iteration; return its loss. */
  step() {
    this.cut();
    return tf.tidy(() => {
      const images = tf.tensor2d(this.pixels, [this.size, INPUTS]);
      const targets = tf.oneHot(tf.tensor1d(this.labels, "int32"), CLASSES);
      const loss = this.optimizer.minimize(() => {
        const logits = images.matMul(this.w1).relu().matMul(this.w2);
        return tf.losses.softmaxCrossEntropy(targets, logits);
      }, true);
      return loss.dataSync()[0];
    });
  }

  /** Train for so long; return iterations a second, and the mean of their losses. */
  train(seconds) {
    for (let i = 0; i < WARM_UP; i++) this.step();
    let [iterations, sum, took] = [0, 0, 0];
    const began = performance.now();
    while ((took = (performance.now() - began) / 1000) < seconds) {
      sum += this.step();
      iterations++;
    }
    return {iterations_per_s: iterations / took, loss: sum / iterations};
  }
}

const trainings = new Map(); // by their options: a training goes on from where it was left

function answer(data, {do: what, seconds, ...options}) {
  if (what !== "train") throw new Error(`there is no command '${what}'; there is 'train'`);
  const key = JSON.stringify(options);
  if (!trainings.has(key)) trainings.set(key, new Training(data, options));
  return trainings.get(key).train(seconds);
}

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

const folder = process.argv[2];
const data = {
  images: idx(join(folder, "train-images-idx3-ubyte"), 16),
  labels: idx(join(folder, "train-labels-idx1-ubyte"), 8),
};
setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
await tf.setBackend("wasm");
say({ready: true, backend: tf.getBackend(), simd: await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")});
for await (const line of createInterface({input: process.stdin})) {
  try {
    say(answer(data, JSON.parse(line)));
  } catch (error) {
    say({error: error.message});
  }
}
