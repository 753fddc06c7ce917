// Reading weights: safetensors, a public format of a JSON header and raw little-endian numbers.

const LENGTH_BYTES = 8;
const MAX_HEADER_BYTES = 1_000_000;
const BYTES_OF = { F32: 4, F16: 2 };

/** Bytes that are not what they should be; the message says what is wrong with them. */
export class MalformedError extends Error {}

/**
 * Read an ArrayBuffer. Returns {tensors, metadata}: `tensors` name to {shape, data: Float32Array}, `metadata` name
 * to text. Takes F32 and F16, which is all that travels here. Throws MalformedError.
 */
export function readSafetensors(buffer) {
  const { header, start } = readHeader(buffer);
  const { __metadata__, ...entries } = header;
  const metadata = __metadata__ ?? {};
  const tensors = Object.entries(entries).map(([name, entry]) => [name, readTensor(buffer, start, name, entry)]);
  return { tensors: Object.fromEntries(tensors), metadata };
}

function readHeader(buffer) {
  if (buffer.byteLength < LENGTH_BYTES) throw new MalformedError(`${buffer.byteLength} bytes are no safetensors`);
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const start = LENGTH_BYTES + length;
  if (length > MAX_HEADER_BYTES || start > buffer.byteLength) {
    throw new MalformedError(`a header of ${length} bytes does not fit into ${buffer.byteLength} bytes`);
  }
  try {
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH_BYTES, length)));
    if (typeof header === "object" && header !== null && !Array.isArray(header)) return { header, start };
  } catch {
    // told below
  }
  throw new MalformedError("the header is no JSON object");
}

function readTensor(buffer, start, name, entry) {
  const { dtype, shape, data_offsets: offsets } = entry ?? {};
  const bytes = BYTES_OF[dtype];
  if (bytes === undefined) throw new MalformedError(`${name} is of type ${dtype}, not F32 or F16`);
  if (!areCounts(shape) || !areCounts(offsets)) throw new MalformedError(`${name} has no shape or no place`);
  const count = shape.reduce((product, size) => product * size, 1);
  const [from, to] = offsets;
  if (to - from !== count * bytes) throw new MalformedError(`${name} of shape ${shape} does not have ${to - from} bytes`);
  if (start + to > buffer.byteLength) throw new MalformedError(`${name} ends beyond the ${buffer.byteLength} bytes`);
  const raw = buffer.slice(start + from, start + to);
  return { shape, data: dtype === "F32" ? new Float32Array(raw) : fromHalves(new Uint16Array(raw)) };
}

const areCounts = (list) => Array.isArray(list) && list.every((count) => Number.isSafeInteger(count) && count >= 0);

let halfTable = null;

/** float16 to float32, by a table of all 65,536 of them that is made when first needed. */
function fromHalves(halves) {
  halfTable ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToNumber(bits));
  const table = halfTable;
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) numbers[i] = table[halves[i]];
  return numbers;
}

/** The number with these 16 bits: sign, 5 of exponent, 10 of fraction (IEEE 754 binary16). */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
