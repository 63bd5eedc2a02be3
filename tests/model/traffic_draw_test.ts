import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { draw, type Traffic, type TrafficTarget } from "../../src/model/traffic.ts";
import { good, split } from "./splits.ts";

/** Numbers from 0 to below 1 that look random, the same each time: https://github.com/bryc/code (mulberry32) */
function randomFrom(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** How often each part is drawn, by revision. */
function counts(traffic: Traffic, points: Iterable<number>): Map<string, number> {
  const found = new Map<string, number>(traffic.map(({ revision }) => [revision, 0]));
  for (const point of points) {
    const { revision } = draw(traffic, point);
    found.set(revision, found.get(revision)! + 1);
  }
  return found;
}

const SPLITS = [
  "a-1 100",
  "a-1 30, a-2 70",
  "a-1 1, a-2 99",
  "a-1 99, a-2 1",
  "a-1 33, a-2 33, a-3 34",
  "a-1 0, a-2 50, a-3 0, a-4 50, a-5 0",
  "a-1 0, a-2 0, a-3 100",
  "a-1 17, a-2 1, a-3 2, a-4 29, a-5 51",
];

for (const text of SPLITS) {
  Deno.test(`of 1,000,000 draws from ${text} each part gets its percent`, () => {
    const traffic = split(text);
    const total = 1_000_000;
    const random = randomFrom(20);
    const found = counts(traffic, Array.from({ length: total }, random));
    for (const { revision, percent } of traffic) {
      const p = percent / 100;
      // Five standard deviations: less than one chance in a million to be outside.
      const bound = 5 * Math.sqrt(total * p * (1 - p));
      const off = Math.abs(found.get(revision)! - total * p);
      assert(off <= bound, `${revision}: ${found.get(revision)} draws for ${percent} percent`);
    }
  });
}

Deno.test("evenly spread points are drawn exactly by percent", () => {
  fc.assert(fc.property(good, (traffic) => {
    const found = counts(traffic, Array.from({ length: 1000 }, (_, at) => (at + 0.5) / 1000));
    for (const { revision, percent } of traffic) assertEquals(found.get(revision), percent * 10);
  }));
});

Deno.test("a part begins where the one before it ends", () => {
  const drawn = (text: string, random: number) => draw(split(text), random).revision;
  assertEquals(drawn("a-1 0, a-2 100", 0), "a-2");
  assertEquals(drawn("a-1 100, a-2 0", 1 - 2 ** -53), "a-1");
  assertEquals(drawn("a-1 99, a-2 1, a-3 0", 1 - 2 ** -53), "a-2");
  assertEquals([0, 0.25 - 2 ** -50, 0.25, 0.5 - 2 ** -50, 0.5].map((at) => drawn("a-1 25, a-2 25, a-3 50", at)), [
    ...["a-1", "a-1", "a-2", "a-2", "a-3"],
  ]);
});

Deno.test("the result is the part itself, and parts that do not sum to 100 are refused", () => {
  const target: TrafficTarget & { note: string } = { revision: "a-1", percent: 100, note: "x" };
  assertEquals(draw([target], 0.5).note, "x");
  assertThrows(() => draw([{ percent: 50 }], 0.5), Error, "do not sum to 100");
  assertThrows(() => draw([], 0), Error, "do not sum to 100");
});
