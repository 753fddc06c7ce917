// A picture file as a drawing: decoded by the browser, turned into ink by core/picture.js.

import { SIDE } from "./core/brush.js";
import { sheetOf } from "./core/picture.js";

const MAX_MEGABYTES = 20;
const MAX_MEGAPIXELS = 64; // more than a phone's camera makes
const WORKING_SIDE = 200; // pixels: a digit that fills half of the picture has five for each cell of its box

/** {pixels, source}: the drawing, and words for where it came from. Rejects with an Error whose message is fit to be shown. */
export async function readImageFile(file, name = file.name) {
  if (file.size > MAX_MEGABYTES * 1e6) {
    throw new Error(`${name} has ${Math.ceil(file.size / 1e6)} MB; at most ${MAX_MEGABYTES} MB can be loaded.`);
  }
  const bitmap = await decode(file, name);
  const { width, height } = bitmap;
  try {
    if (width * height > MAX_MEGAPIXELS * 1e6) {
      throw new Error(`${name} has ${width} × ${height} pixels; at most ${MAX_MEGAPIXELS} million can be loaded.`);
    }
    const pixels = sheetOf(...small(bitmap));
    if (pixels === null) throw new Error(`Nothing in ${name} stands out from its paper: use a picture with more contrast.`);
    const how = width === SIDE && height === SIDE ? "taken cell by cell" : "its ink scaled to the middle of the sheet";
    return { pixels, source: `${name}, ${width} × ${height} pixels, ${how}` };
  } finally {
    bitmap.close();
  }
}

async function decode(file, name) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" }); // as the phone was held
  } catch {
    throw new Error(`${name} is not a picture that this browser can read. Try a PNG or a JPEG.`);
  }
}

/** The picture's pixels, at most WORKING_SIDE on a side, as [RGBA bytes, width, height]. */
function small(bitmap) {
  const scale = Math.min(1, WORKING_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return [context.getImageData(0, 0, width, height).data, width, height];
}
