// Where the parts of the machine are drawn, in CSS pixels: side by side where there is room, else below one another.

import { NAMED_WORKERS } from "./machine.js";

export const WIDE_FROM = 980; // the width from which the parts stand side by side
const TALL_AT_MOST = 560;
const SQUARE_PITCHES = [20, 17, 14]; // of many workers: the largest that all have room at
const SERVICES = ["gateway", "inference", "weights", "data-api"];

/**
 * Return {wide, width, height, boxes, flows, workers, aside} for a picture `available` wide with so many data workers. A box is
 * {x, y, width, height}, lists and chips lie inside that of Redis. A flow is {points, label}: the points it goes through, its arrowhead
 * at the last; `label` is {x, y, side} of its number, or absent. `workers` are the squares of the workers,
 * in their order; `aside` is the free corner of a wide picture, {width, y}, else null.
 */
export function layoutOf(available, workerCount) {
  const layout = available >= WIDE_FROM ? wide(available) : tall(Math.min(TALL_AT_MOST, available));
  return { ...layout, workers: workerCells(layout.boxes.workers, workerCount) };
}

const middle = ({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 });
const right = ({ x, width }) => x + width;
const bottom = ({ y, height }) => y + height;

/** A level arrow, its number above the line and its unit below. */
function level(from, to, y, labelled = true) {
  return { points: [[from, y], [to, y]], ...(labelled && { label: { x: (from + to) / 2, y, side: "over" } }) };
}

/** An upright arrow, its number and unit to the right of it. */
function upright(x, from, to, labelled = true) {
  return { points: [[x, from], [x, to]], ...(labelled && { label: { x: x + 10, y: (from + to) / 2, side: "right" } }) };
}

function wide(width) {
  const columns = { page: 104, edge: 82, service: 140, trainer: 152 };
  const top = 4;
  const serviceHeight = 62;
  const step = 78;
  const height = 346;
  const redisWidth = 262 + (width - WIDE_FROM) * 0.3;
  const room = width - columns.page - columns.edge - columns.service - columns.trainer - redisWidth;
  const [beforeEdge, beforeServices, beforeRedis, beforeTrainer] = [0.3, 0.18, 0.25, 0.27].map((part) => part * room);

  const page = { x: 1, y: top, width: columns.page, height };
  const edge = { x: right(page) + beforeEdge, y: top, width: columns.edge, height };
  const serviceX = right(edge) + beforeServices;
  const service = { x: serviceX, width: columns.service, height: serviceHeight };
  const services = SERVICES.map((name, row) => [name, { ...service, y: top + 34 + row * step }]);
  const redis = { x: serviceX + columns.service + beforeRedis, y: top, width: redisWidth, height };
  const trainer = { x: right(redis) + beforeTrainer, y: top, width: columns.trainer - 1, height };
  const listWidth = (redisWidth - 36) / 2;
  const list = { y: bottom(redis) - 112, width: listWidth, height: 100 };
  const chip = { x: redis.x + 12, width: redisWidth - 24, height: 36 };
  const below = bottom(redis) + 74;
  const boxes = {
    page, edge, ...Object.fromEntries(services), redis, trainer,
    news: { ...chip, y: top + 34 + serviceHeight / 2 - 18 },
    latest: { ...chip, y: top + 34 + step + serviceHeight / 2 - 18 },
    tickets: { ...list, x: redis.x + 12 },
    batches: { ...list, x: redis.x + 24 + listWidth },
    workers: { x: redis.x, y: below, width: right(trainer) - redis.x, height: 112 },
    dataset: { x: serviceX, y: below, width: columns.service, height: 112 },
  };
  const aside = { width: serviceX - 24, y: bottom(redis) + 22 }; // the free corner, for words
  return { wide: true, width, height: below + 116, boxes, flows: wideFlows(boxes), aside };
}

function wideFlows(boxes) {
  const { page, edge, gateway, redis, news, latest, trainer, tickets, batches, workers, dataset } = boxes;
  const api = boxes["data-api"];
  const row = (name, shift = 0) => middle(boxes[name]).y + shift;
  /** From the page through the edge to a service: two stretches with the edge between them. */
  const through = (y, back, labelled) => {
    const ends = [right(page), edge.x, right(edge), gateway.x];
    const [a, b, c, d] = back ? ends.reverse() : ends;
    const near = back ? [c, d] : [a, b];
    const label = labelled && { label: { x: (near[0] + near[1]) / 2, y, side: "over" } };
    return { points: [[a, y], [b, y]], more: [[[c, y], [d, y]]], ...label };
  };
  const beside = { right: (right(redis) + trainer.x) / 2, left: (right(gateway) + redis.x) / 2 };
  const flowOut = (from, to, y) => ({ points: [[from.x, y], [right(to), y]], label: { x: beside.left, y, side: "over" } });
  const flowIn = (y) => ({ points: [[trainer.x, y], [right(news), y]], label: { x: beside.right, y, side: "over" } });
  return {
    frames: through(row("gateway", -19), true, true),
    stream: through(row("gateway", 23), true, true),
    guesses: through(row("inference", 6), false, true),
    kept: through(row("weights"), false, false),
    samples: through(row("data-api"), true, false),
    told: flowOut(news, gateway, row("gateway")),
    adopted: flowOut(latest, gateway, row("inference")),
    checkpoints: level(redis.x, right(gateway), row("weights"), false),
    tests: level(right(api), redis.x, row("data-api"), false),
    reports: flowIn(row("gateway")),
    published: flowIn(row("inference")),
    asked: {
      points: [[trainer.x, tickets.y - 26], [middle(tickets).x, tickets.y - 26], [middle(tickets).x, tickets.y]],
      label: { x: beside.right, y: tickets.y - 26, side: "over" },
    },
    used: {
      points: [[right(batches), batches.y + 56], [trainer.x, batches.y + 56]],
      label: { x: beside.right, y: batches.y + 56, side: "over" },
    },
    taken: upright(middle(tickets).x, bottom(tickets), workers.y),
    cut: upright(middle(batches).x, workers.y, bottom(batches)),
    read: level(right(dataset), workers.x, middle(dataset).y, false),
    lent: upright(middle(dataset).x, dataset.y, bottom(api), false),
  };
}

function tall(width) {
  const inner = width - 2;
  const page = { x: 1, y: 2, width: inner, height: 48 };
  const edge = { x: 1, y: 112, width: inner, height: 36 };
  const serviceWidth = (inner - 24) / 4;
  const service = { y: 178, width: serviceWidth, height: 44 };
  const services = SERVICES.map((name, column) => [name, { ...service, x: 1 + column * (serviceWidth + 8) }]);
  const redis = { x: 1, y: 284, width: inner, height: 222 };
  const lane = 70; // room beside the lists for what the trainer sends up
  const listWidth = (inner - lane - 22) / 2;
  const list = { y: bottom(redis) - 108, width: listWidth, height: 96 };
  const chip = { y: redis.y + 38, height: 36 };
  const below = bottom(redis) + 64;
  const split = 0.58 * inner;
  const boxes = {
    page, edge, ...Object.fromEntries(services), redis,
    news: { ...chip, x: redis.x + 12, width: 0.27 * inner },
    latest: { ...chip, x: redis.x + 20 + 0.27 * inner, width: 0.73 * inner - 76 },
    tickets: { ...list, x: redis.x + 12 },
    batches: { ...list, x: redis.x + 22 + listWidth },
    workers: { x: 1, y: below, width: split, height: 150 },
    trainer: { x: split + 14, y: below, width: inner - split - 13, height: 150 },
    dataset: { x: 1, y: below + 184, width: split, height: 48 },
  };
  return { wide: false, width, height: below + 234, boxes, flows: tallFlows(boxes, width), aside: null };
}

function tallFlows(boxes, width) {
  const { page, edge, gateway, redis, news, latest, trainer, tickets, batches, workers, dataset } = boxes;
  const centre = (name) => middle(boxes[name]).x;
  const services = bottom(gateway);
  const toService = (name, back) => {
    const ends = [bottom(edge), gateway.y];
    return upright(centre(name), ...(back ? ends.reverse() : ends), false).points;
  };
  const fromRedis = (x, y) => ({ points: [[x, y], [x, services]], label: { x: x + 10, y: (services + redis.y) / 2, side: "right" } });
  const ticketLane = width - 48;
  const newsLane = width - 22;
  return {
    frames: { ...upright(width * 0.06, edge.y, bottom(page)), more: [toService("gateway", true)] },
    stream: upright(width * 0.38, edge.y, bottom(page)),
    guesses: { ...upright(width * 0.7, bottom(page), edge.y), more: [toService("inference", false)] },
    kept: { points: toService("weights", false) },
    samples: { points: toService("data-api", true) },
    told: fromRedis(Math.min(right(gateway) - 8, Math.max(66, centre("gateway"))), news.y),
    adopted: fromRedis(centre("inference") + 22, latest.y),
    checkpoints: upright(centre("weights") + 20, redis.y, services, false),
    tests: upright(centre("data-api"), services, redis.y, false),
    published: { points: [[newsLane, trainer.y], [newsLane, middle(latest).y], [right(latest), middle(latest).y]] },
    asked: {
      points: [[ticketLane, trainer.y], [ticketLane, tickets.y - 20], [middle(tickets).x, tickets.y - 20], [middle(tickets).x, tickets.y]],
    },
    used: upright(trainer.x + 30, bottom(batches), trainer.y, false),
    taken: upright(tickets.x + 22, bottom(tickets), workers.y),
    cut: upright(batches.x + 12, workers.y, bottom(batches)),
    read: upright(middle(dataset).x, dataset.y, bottom(workers), false),
  };
}

/** A few workers as boxes wide enough for their rate, many as small squares. */
function workerCells({ x, y, width, height }, count) {
  const inner = { x: x + 12, y: y + 42, width: width - 24, height: height - 50 };
  if (count <= NAMED_WORKERS) {
    const perRow = width > 360 ? NAMED_WORKERS : NAMED_WORKERS / 2;
    const gap = 6;
    const cell = (inner.width - gap * (perRow - 1)) / perRow;
    return Array.from({ length: count }, (_, index) => ({
      x: inner.x + (index % perRow) * (cell + gap),
      y: inner.y + Math.floor(index / perRow) * 52,
      width: cell,
      height: 46,
    }));
  }
  const room = (pitch) => Math.floor((inner.width + 4) / pitch) * Math.floor((inner.height + 4) / pitch);
  const pitch = SQUARE_PITCHES.find((one) => room(one) >= count) ?? SQUARE_PITCHES.at(-1);
  const perRow = Math.floor((inner.width + 4) / pitch);
  return Array.from({ length: Math.min(count, room(pitch)) }, (_, index) => ({
    x: inner.x + (index % perRow) * pitch,
    y: inner.y + Math.floor(index / perRow) * pitch,
    width: pitch - 4,
    height: pitch - 4,
  }));
}
