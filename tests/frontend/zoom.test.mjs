import assert from "node:assert/strict";
import test from "node:test";
import { pan, pinch, shownRange, zoomBy, zoomTo } from "../../frontend/core/zoom.js";

const RUN = [0, 1000];

test("without a zoom all is shown, and a young curve is not stretched", () => {
  assert.deepEqual(shownRange(null, RUN), RUN);
  assert.deepEqual(shownRange(null, [0, 2]), [0, 10]);
  assert.deepEqual(shownRange([5, 20], RUN), [5, 20]);
  assert.deepEqual(shownRange([20, 5], RUN), RUN);
});

test("a drag in either direction shows what it passed, in whole iterations", () => {
  assert.deepEqual(zoomTo(200.4, 399.6, RUN), [200, 400]);
  assert.deepEqual(zoomTo(399.6, 200.4, RUN), [200, 400]);
});

test("a zoom is never narrower than ten iterations and never beyond the run", () => {
  assert.deepEqual(zoomTo(500, 501, RUN), [496, 506]);
  assert.deepEqual(zoomTo(999, 1003, RUN), [990, 1000]);
  assert.deepEqual(zoomTo(-50, 30, RUN), [0, 30]);
});

test("a zoom on everything is none", () => {
  assert.equal(zoomTo(-10, 1000, RUN), null);
  assert.equal(zoomTo(0, 5, [0, 6]), null);
});

test("zooming in and out keeps its centre in place", () => {
  assert.deepEqual(zoomBy([200, 400], 0.5, 300, RUN), [250, 350]);
  assert.deepEqual(zoomBy([200, 400], 2, 200, RUN), [200, 600]);
  assert.equal(zoomBy([200, 400], 100, 300, RUN), null);
});

test("panning stops at the ends of the run", () => {
  assert.deepEqual(pan([200, 400], 0.25, RUN), [250, 450]);
  assert.deepEqual(pan([900, 980], 0.5, RUN), [920, 1000]);
  assert.deepEqual(pan([10, 210], -0.25, RUN), [0, 200]);
  assert.equal(pan(null, 0.25, RUN), null);
});

test("a zoom from a link that lies beyond the run can be panned back, and not further away", () => {
  assert.deepEqual(pan([2000, 2200], 0.25, RUN), [2000, 2200]);
  assert.deepEqual(pan([2000, 2200], -0.25, RUN), [800, 1000]);
});

test("two fingers hold on to the iterations under them", () => {
  assert.deepEqual(pinch([400, 600], [0.25, 0.75], RUN), [300, 700]);
  assert.deepEqual(pinch([400, 600], [0, 1], RUN), [400, 600]);
  assert.equal(pinch([400, 600], [0.5, 0.5], RUN), null);
});
