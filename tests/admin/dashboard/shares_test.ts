import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { moveShare, sharesOf, splitText, trafficOf } from "../../../src/admin/dashboard/ui/model/shares.js";
import * as cli from "../../../src/cli/text.ts";

const TRAFFIC = [{ revision: "latest", percent: 90 }, { revision: "web-00001", percent: 10, tag: "old" }];

Deno.test("shares sum to 100 however one is moved, and no other moves the wrong way", () => {
  const shares = fc.array(fc.nat(1000), { minLength: 2, maxLength: 12 }).map((weights) => {
    const first = weights.map(() => 0).with(0, 100);
    return weights.reduce((shares, weight, at) => moveShare(shares, at, weight % 101), first);
  });
  fc.assert(fc.property(shares, fc.nat(11), fc.integer({ min: 0, max: 100 }), (before, index, value) => {
    const at = index % before.length;
    const after = moveShare(before, at, value);
    assertEquals(after.reduce((sum, percent) => sum + percent, 0), 100);
    assertEquals(after[at], value);
    assert(after.every((percent) => Number.isInteger(percent) && percent >= 0));
    const grows = value > before[at]!;
    after.forEach((percent, other) => {
      if (other !== at) assert(grows ? percent <= before[other]! : percent >= before[other]!);
    });
  }));
});

Deno.test("the others keep their proportions, and those that have nothing stay without", () => {
  assertEquals(moveShare([10, 60, 30, 0], 0, 40), [40, 40, 20, 0]);
  assertEquals(moveShare([10, 60, 30, 0], 0, 100), [100, 0, 0, 0]);
  assertEquals(moveShare([50, 25, 25], 0, 49), [49, 26, 25]);
});

Deno.test("if the others have nothing, the first of them takes the rest", () => {
  assertEquals(moveShare([100, 0, 0], 0, 70), [70, 30, 0]);
  assertEquals(moveShare([0, 100, 0], 1, 70), [30, 70, 0]);
});

Deno.test("what is typed becomes a whole number from 0 to 100", () => {
  assertEquals(moveShare([50, 50], 0, 120), [100, 0]);
  assertEquals(moveShare([50, 50], 0, -3), [0, 100]);
  assertEquals(moveShare([50, 50], 0, 33.4), [33, 67]);
  assertEquals(moveShare([50, 50], 0, NaN), [0, 100]);
  assertEquals(moveShare([100], 0, 30), [100]);
});

Deno.test("each revision is there once, and what is not changed stays the same split", () => {
  const shares = sharesOf(TRAFFIC, "web-00003", ["web-00003", "web-00002", "web-00001"]);
  assertEquals(shares.map(({ revision }) => revision), ["latest", "web-00001", "web-00002"]);
  assertEquals(trafficOf(shares), TRAFFIC);
});

Deno.test("latest stays with 0, and what has a tag; the rest is left out without traffic", () => {
  const shares = [
    { revision: "latest", percent: 0, tag: "" },
    { revision: "web-00002", percent: 100, tag: "" },
    ...[{ revision: "web-00001", percent: 0, tag: "old" }, { revision: "web-00000", percent: 0, tag: "" }],
  ];
  assertEquals(trafficOf(shares), [
    { revision: "latest", percent: 0 },
    { revision: "web-00002", percent: 100 },
    { revision: "web-00001", percent: 0, tag: "old" },
  ]);
});

Deno.test("a split is written as the command line writes it", () => {
  for (const traffic of [TRAFFIC, []]) assertEquals(splitText(traffic), cli.splitText(traffic));
});
