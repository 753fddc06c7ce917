// Weights for tests: bytes by the rules of safetensors, and small networks from a fixed sequence of numbers.

/** Tensors (name to {shape, data: Float32Array or the bits of halves in a Uint16Array}) as an ArrayBuffer. */
export function safetensors(tensors, metadata = {}, headerText = null) {
  const header = metadata === null ? {} : { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = data instanceof Uint16Array ? "F16" : "F32";
    header[name] = { dtype, shape, data_offsets: [offset, (offset += data.byteLength)] };
  }
  const text = new TextEncoder().encode(headerText ?? JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let at = 8 + text.length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer), at);
    at += data.byteLength;
  }
  return bytes.buffer;
}

/** Numbers in -1..1 that are the same each time. */
export function sequence(count, seed = 1) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 16_807) % 2_147_483_647;
    return (state / 2_147_483_647) * 2 - 1;
  });
}

/** A network of these sizes, inputs first, as core/network.js holds it. */
export function networkOf(sizes, { biases = false } = {}) {
  const layers = sizes.slice(1).map((outputs, k) => ({
    inputs: sizes[k],
    outputs,
    matrix: sequence(sizes[k] * outputs, k + 5),
    bias: biases ? sequence(outputs, k + 50) : null,
  }));
  return { layers, version: 1, iteration: 0 };
}
