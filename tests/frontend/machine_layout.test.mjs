// Where the machine is drawn: within its room, boxes apart from each other, arrows from edge to edge, at any width.
import assert from "node:assert/strict";
import test from "node:test";
import { layoutOf, WIDE_FROM } from "../../frontend/core/machine_layout.js";

const WIDTHS = [280, 296, 330, 500, 900, WIDE_FROM, 1172, 1500];
const INSIDE_REDIS = ["tickets", "batches", "news", "latest"];
const overlap = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const within = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;

for (const width of WIDTHS) {
  const layout = layoutOf(width, 5);
  const boxes = Object.entries(layout.boxes);
  const sheet = { x: 0, y: 0, width: layout.width, height: layout.height };

  test(`at ${width} px all boxes lie within the picture, and the picture within its room`, () => {
    assert.ok(layout.width <= width);
    for (const [name, box] of boxes) assert.ok(within(box, sheet), name);
  });

  test(`at ${width} px no box covers another one, but those inside Redis`, () => {
    for (const name of INSIDE_REDIS) assert.ok(within(layout.boxes[name], layout.boxes.redis), name);
    for (const [name, box] of boxes) {
      for (const [other, its] of boxes) {
        const nested = name === other || (other === "redis" && INSIDE_REDIS.includes(name)) || (name === "redis" && INSIDE_REDIS.includes(other));
        if (!nested) assert.ok(!overlap(box, its), `${name} and ${other}`);
      }
    }
  });

  test(`at ${width} px every arrow runs level or upright, and ends at the edge of a box`, () => {
    for (const [id, { points, more = [] }] of Object.entries(layout.flows)) {
      for (const stretch of [points, ...more]) {
        stretch.slice(1).forEach(([x, y], index) => assert.ok(x === stretch[index][0] || y === stretch[index][1], id));
        for (const [x, y] of [stretch[0], stretch.at(-1)]) {
          const touches = boxes.some(([, box]) => {
            const inX = x >= box.x - 1 && x <= box.x + box.width + 1;
            const inY = y >= box.y - 1 && y <= box.y + box.height + 1;
            return inX && inY && [x - box.x, x - box.x - box.width, y - box.y, y - box.y - box.height].some((off) => Math.abs(off) < 1);
          });
          assert.ok(touches, `${id} at ${x}, ${y}`);
        }
      }
    }
  });

  test(`at ${width} px up to 64 workers lie inside their box, apart from each other`, () => {
    for (const count of [0, 1, 8, 9, 64]) {
      const { workers, boxes: { workers: crew } } = layoutOf(width, count);
      assert.equal(workers.length, count);
      workers.forEach((cell, index) => {
        assert.ok(within(cell, crew), `${index} of ${count}`);
        for (const other of workers.slice(0, index)) assert.ok(!overlap(cell, other), `${index} of ${count}`);
      });
    }
  });
}

test("more workers than there is room for are not drawn outside", () => {
  const { workers, boxes } = layoutOf(296, 500);
  assert.ok(workers.length >= 64 && workers.length < 500);
  for (const cell of workers) assert.ok(within(cell, boxes.workers));
});
