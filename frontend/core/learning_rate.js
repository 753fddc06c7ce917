// The learning rate on a logarithmic slider: where it stands is the power of ten.

const LOWEST = -4; // 0.0001; smaller ones can be typed
const HIGHEST = 1; // 10, the largest that the server takes

/** The learning rate where the slider stands, of two digits: nobody wants 0.10471285. */
export function rateAt(place) {
  return Number((10 ** place).toPrecision(2));
}

/** Where the slider stands for this learning rate, to a hundredth of a power of ten. */
export function sliderAt(rate) {
  return Math.min(HIGHEST, Math.max(LOWEST, Math.round(Math.log10(rate) * 100) / 100));
}
