// The bytes are made here by the format's own rules; the float16 numbers were checked against numpy:
//   np.array([0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x3555], np.uint16).view(np.float16).astype(np.float32)
import assert from "node:assert/strict";
import test from "node:test";
import { MalformedError, readSafetensors } from "../../frontend/core/safetensors.js";
import { safetensors } from "./tensors.mjs";

const refuse = (buffer, words) =>
  assert.throws(
    () => readSafetensors(buffer),
    (error) => error instanceof MalformedError && words.test(error.message),
  );

test("float32 comes back as it was, with shape and metadata", () => {
  const data = Float32Array.of(0.1, -2, 3.5, 1e-20, 5, 6);
  const read = readSafetensors(safetensors({ w1: { shape: [2, 3], data } }, { version: "7" }));
  assert.deepEqual(read.tensors.w1, { shape: [2, 3], data });
  assert.deepEqual(read.metadata, { version: "7" });
});

test("float16 becomes the number that it stands for", () => {
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x3555, 0x7c00, 0xfc00, 0x7e00);
  const { data } = readSafetensors(safetensors({ w1: { shape: [10], data: bits } })).tensors.w1;
  const wanted = [1, -2, 65504, 6.103515625e-5, 5.960464477539063e-8, -0, 0.333251953125, Infinity, -Infinity, NaN];
  assert.deepEqual(Array.from(data), wanted);
});

test("all 65,536 halves are ordered as their numbers are", () => {
  const finite = Uint16Array.from({ length: 0x7c00 }, (_, bits) => bits);
  const { data } = readSafetensors(safetensors({ w1: { shape: [finite.length], data: finite } })).tensors.w1;
  for (let k = 1; k < data.length; k += 1) assert.ok(data[k] > data[k - 1], `at ${k}`);
});

test("a file without metadata has none", () => {
  assert.deepEqual(readSafetensors(safetensors({}, null)).metadata, {});
});

test("what is no safetensors is refused with what is wrong", () => {
  refuse(new ArrayBuffer(3), /3 bytes are no safetensors/);
  refuse(new Uint8Array([255, 255, 0, 0, 0, 0, 0, 0, 123]).buffer, /header of 65535 bytes does not fit into 9 bytes/);
  refuse(new Uint8Array(16).fill(255).buffer, /does not fit/);
  for (const header of ["", "{", "[]", "null", "3"]) refuse(safetensors({}, {}, header), /no JSON object/);
});

test("a tensor that does not fit its bytes is refused by name", () => {
  const entry = (fields) => safetensors({}, {}, JSON.stringify({ w1: fields }));
  const good = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
  refuse(entry({ ...good, dtype: "BF16" }), /w1 is of type BF16, not F32 or F16/);
  refuse(entry({ ...good, shape: [2] }), /w1 of shape 2 does not have 4 bytes/);
  refuse(entry(good), /w1 ends beyond/);
  for (const wrong of [{ shape: "1" }, { shape: [-1], data_offsets: [4, 0] }, { shape: [0.5] }, { data_offsets: [null, 4] }]) {
    refuse(entry({ ...good, ...wrong }), /w1 has no shape or no place/);
  }
  refuse(safetensors({}, {}, '{"w1": null}'), /w1 is of type undefined/);
});

test("however a file is cut off or changed, it is read or refused, never anything else", () => {
  const whole = new Uint8Array(safetensors({ w1: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } }, { version: "1" }));
  const attempt = (bytes) => {
    try {
      readSafetensors(bytes.buffer);
    } catch (error) {
      assert.ok(error instanceof MalformedError, String(error));
    }
  };
  for (let length = 0; length < whole.length; length += 1) attempt(whole.slice(0, length));
  for (let at = 0; at < whole.length; at += 1) {
    for (const value of [0, 44, 91, 123, 255]) {
      const changed = whole.slice();
      changed[at] = value;
      attempt(changed);
    }
  }
});
