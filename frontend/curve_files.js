// The curves as files to take along.

import { curvePicture } from "./chart_picture.js";
import { curveCsv } from "./core/curve_csv.js";
import { saveFile } from "./save.js";

export function saveCsv({ curve }) {
  saveFile(new Blob([curveCsv(curve)], { type: "text/csv" }), "inkling-curves.csv");
}

export async function savePicture(charts, state) {
  saveFile(await curvePicture(charts, state), "inkling-curves.png");
}
