import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  checkTraffic,
  deployTraffic,
  LATEST,
  resolveTraffic,
  type Traffic,
  TrafficError,
} from "../../src/model/traffic.ts";
import { good, NAMES, REVISIONS, split, written } from "./splits.ts";

/** The split after a deploy of a-9, when a-2 was the latest. */
function deployed(before: string, wish: { percent?: number; tag?: string } = {}): string {
  return written(deployTraffic(split(before), "a-2", "a-9", wish));
}

/** The share of each revision, and the revision of each tag. */
function meaning(traffic: Traffic, latest: string) {
  const resolved = resolveTraffic(traffic, latest);
  return {
    share: (name: string) => resolved.find(({ revision }) => revision === name)?.percent ?? 0,
    owner: (tag: string) => resolved.find((target) => target.tag === tag)?.revision,
    tags: resolved.flatMap(({ tag }) => tag === undefined ? [] : [tag]).sort(),
  };
}

Deno.test("a split that sums to 100 is valid, also with parts of 0 and with latest next to its name", () => {
  for (
    const text of ["latest 100", "a-1 100 x", "a-1 99, a-2 1", "latest 60, a-2 40 x", "a-1 0, latest 100, a-2 0 x"]
  ) {
    checkTraffic(split(text), REVISIONS, "a-2");
  }
  fc.assert(fc.property(good, (traffic) => checkTraffic(traffic, REVISIONS, NAMES.at(-1))));
});

Deno.test("a wrong split is refused with the reason", () => {
  const wrong: [text: string, why: string][] = [
    ["", "must sum to 100, and not to 0"],
    ["latest 99", "must sum to 100, and not to 99"],
    ["latest 100, a-1 1", "must sum to 100, and not to 101"],
    ["latest 101", "the percent of latest must be a whole number"],
    ["a-1 -1, latest 101", "the percent of a-1 must be a whole number"],
    ["a-1 0.5, latest 99.5", "the percent of a-1 must be a whole number"],
    ["a-1 x", "the percent of a-1 must be a whole number"],
    ["a-7 100", "there is no revision a-7"],
    ["a-1 50, a-1 50", "a-1 is given twice"],
    ["latest 50, latest 50", "latest is given twice"],
    ["a-1 50 x, a-2 50 x", "the tag x is given twice"],
    ["latest 50 x, a-2 50 y", "a-2 is what latest stands for"],
  ];
  for (const [text, why] of wrong) {
    assertThrows(() => checkTraffic(split(text), REVISIONS, "a-2"), TrafficError, why, text);
  }
});

Deno.test("latest resolves to the revision that it stands for, merged with that revision's own part", () => {
  const resolved = (text: string) => written(resolveTraffic(split(text), "a-2"));
  assertEquals(resolved("latest 100"), "a-2 100");
  assertEquals(resolved("latest 60 x, a-1 40 y"), "a-2 60 x, a-1 40 y");
  assertEquals(resolved("latest 60, a-1 10, a-2 30"), "a-2 90, a-1 10");
  assertEquals(resolved("a-2 30 x, latest 70"), "a-2 100 x");
  assertEquals(resolved("a-2 30, latest 70 x"), "a-2 100 x");
  assertEquals(resolved("a-2 30 x, latest 70 y"), "a-2 100 x");
  assertEquals(resolved("latest 0, a-1 100"), "a-2 0, a-1 100");
});

Deno.test("a resolved split is valid, means the same, and resolves to itself", () => {
  fc.assert(fc.property(good, (traffic) => {
    const latest = NAMES.at(-1)!;
    const resolved = resolveTraffic(traffic, latest);
    checkTraffic(resolved, REVISIONS, latest);
    assert(resolved.every(({ revision }) => revision !== LATEST));
    assertEquals(resolveTraffic(resolved, "a-9"), resolved);
    assertEquals(meaning(resolved, latest).tags, meaning(traffic, latest).tags);
    for (const { revision, tag } of traffic) {
      if (tag !== undefined) {
        assertEquals(meaning(resolved, latest).owner(tag), revision === LATEST ? latest : revision);
      }
    }
  }));
});

Deno.test("two rollbacks restore the split", () => {
  /** What a service stores: the split, the previous one by names, and the latest revision. */
  interface Service {
    traffic: Traffic;
    previous: Traffic;
    latest: string;
  }
  const rollBack = ({ traffic, previous, latest }: Service): Service => (
    { traffic: previous, previous: resolveTraffic(traffic, latest), latest }
  );
  fc.assert(fc.property(good, fc.option(fc.nat({ max: 100 }), { nil: undefined }), (before, percent) => {
    const old = NAMES.at(-1)!;
    const traffic = deployTraffic(before, old, "a-9", percent === undefined ? {} : { percent });
    const service = { traffic, previous: resolveTraffic(before, old), latest: "a-9" };
    const once = rollBack(service);
    checkTraffic(once.traffic, REVISIONS);
    assertEquals(once.traffic, resolveTraffic(before, old));
    const twice = rollBack(once);
    assertEquals(twice.traffic, resolveTraffic(traffic, "a-9"));
    assertEquals(rollBack(rollBack(twice)), twice);
  }));
});

Deno.test("a service's first revision gets all traffic, whatever was asked for", () => {
  for (const percent of [0, 30, 100]) {
    assertEquals(written(deployTraffic([], undefined, "a-1", { percent })), "latest 100");
  }
  assertEquals(written(deployTraffic([], undefined, "a-1", {})), "latest 100");
  assertEquals(written(deployTraffic([], undefined, "a-1", { percent: 5, tag: "x" })), "latest 100, a-1 0 x");
});

Deno.test("a new revision takes the share of latest", () => {
  assertEquals(deployed("latest 100"), "latest 100");
  assertEquals(deployed("latest 60, a-1 40"), "latest 60, a-1 40");
  assertEquals(deployed("a-1 40, latest 60"), "latest 60, a-1 40");
  assertEquals(deployed("latest 60, a-2 40"), "latest 60, a-2 40");
});

Deno.test("if latest has 0 percent, later revisions get nothing either", () => {
  const first = deployTraffic(split("latest 0, a-1 100"), "a-2", "a-3", {});
  assertEquals(written(first), "latest 0, a-1 100");
  assertEquals(written(deployTraffic(first, "a-3", "a-4", { tag: "x" })), "latest 0, a-1 100, a-4 0 x");
});

Deno.test("a new revision takes everything after a split by names", () => {
  assertEquals(deployed("a-1 100"), "latest 100");
  assertEquals(deployed("a-1 70, a-2 30 x"), "latest 100, a-2 0 x");
  assertEquals(deployed("a-1 70, a-2 30", { tag: "y" }), "latest 100, a-9 0 y");
});

Deno.test("a tag of latest stays with the revision that latest stood for", () => {
  assertEquals(deployed("latest 100 x"), "latest 100, a-2 0 x");
  assertEquals(deployed("latest 60 x, a-2 40"), "latest 60, a-2 40 x");
  assertEquals(deployed("a-2 40, latest 60 x"), "latest 60, a-2 40 x");
  assertEquals(deployed("latest 60 x, a-1 40", { percent: 50 }), "a-2 30 x, a-1 20, a-9 50");
  assertEquals(deployed("latest 60 x, a-1 40", { percent: 100 }), "latest 100, a-2 0 x");
});

Deno.test("a new revision takes its tag from the revision that has it", () => {
  assertEquals(deployed("latest 60, a-1 40 x", { tag: "x" }), "latest 60, a-1 40, a-9 0 x");
  assertEquals(deployed("latest 100, a-1 0 x", { tag: "x" }), "latest 100, a-9 0 x");
  assertEquals(deployed("latest 100 x", { tag: "x" }), "latest 100, a-9 0 x");
  assertEquals(deployed("latest 100 x", { tag: "x", percent: 0 }), "a-2 100, a-9 0 x");
  assertEquals(deployed("a-1 50 x, a-2 50 y", { tag: "y", percent: 50 }), "a-1 25 x, a-2 25, a-9 50 y");
  assertEquals(deployed("a-1 50 x, a-2 50 y", { tag: "y", percent: 100 }), "latest 100, a-1 0 x, a-9 0 y");
});

Deno.test("a percent is what the new revision gets exactly, and the others shrink in proportion", () => {
  assertEquals(deployed("latest 100", { percent: 10 }), "a-2 90, a-9 10");
  assertEquals(deployed("latest 60, a-1 40", { percent: 50 }), "a-2 30, a-1 20, a-9 50");
  assertEquals(deployed("latest 60, a-1 30, a-2 10", { percent: 10 }), "a-2 63, a-1 27, a-9 10");
  assertEquals(deployed("a-1 100", { percent: 0 }), "a-1 100");
  assertEquals(deployed("a-1 99, a-2 1", { percent: 99 }), "a-1 1, a-9 99");
});

Deno.test("when shares shrink, the rest goes to the largest remainders, and to the first of equal ones", () => {
  assertEquals(deployed("a-1 33, a-2 33, a-3 34", { percent: 1 }), "a-1 33, a-2 33, a-3 33, a-9 1");
  assertEquals(deployed("a-1 50, a-2 50", { percent: 1 }), "a-1 50, a-2 49, a-9 1");
  assertEquals(deployed("a-1 97, a-2 1, a-3 1, a-4 1", { percent: 40 }), "a-1 58, a-2 1, a-3 1, a-9 40");
});

Deno.test("100 percent make latest 100, so that the next revision takes it over", () => {
  assertEquals(deployed("latest 60, a-1 40", { percent: 100 }), "latest 100");
  assertEquals(deployed("a-1 60 x, a-2 40", { percent: 100 }), "latest 100, a-1 0 x");
});

Deno.test("a percent is refused if it is invalid, or if no other revision can take the rest", () => {
  for (const percent of [-1, 101, 0.5, NaN]) {
    assertThrows(() => deployed("latest 100", { percent }), TrafficError, "a whole number from 0 to 100");
  }
  assertThrows(() => deployed("", { percent: 40 }), TrafficError, "no other revision to take the remaining 60 percent");
  assertThrows(() => deployed("a-1 0 x", { percent: 0 }), TrafficError, "no other revision to take the remaining 100");
  assertEquals(deployed("", { percent: 100 }), "latest 100");
  assertEquals(deployed(""), "latest 100");
});

Deno.test("after any deploy the split is valid, tags stay with their revisions, and shares are fair", () => {
  const wish = fc.record({ percent: fc.nat({ max: 100 }), tag: fc.constantFrom("tag-0", "tag-1", "new") }, {
    requiredKeys: [],
  });
  fc.assert(
    fc.property(good, wish, (before, wish) => {
      const old = NAMES.at(-1)!;
      const after = deployTraffic(before, old, "a-9", wish);
      checkTraffic(after, new Set([...REVISIONS, "a-9"]), "a-9");
      const [was, is] = [meaning(before, old), meaning(after, "a-9")];
      const latest = before.find(({ revision }) => revision === LATEST)?.percent;
      const share = wish.percent ?? latest ?? 100;
      assertEquals(is.share("a-9"), share);
      for (const tag of was.tags) assertEquals(is.owner(tag), tag === wish.tag ? "a-9" : was.owner(tag));
      assertEquals(is.tags, [...new Set([...was.tags, ...wish.tag === undefined ? [] : [wish.tag]])].sort());
      for (const name of NAMES) {
        const kept = was.share(name) - (name === old && wish.percent === undefined ? latest ?? 0 : 0);
        const exact = wish.percent === undefined && latest !== undefined ? kept : was.share(name) * (100 - share) / 100;
        assert(Math.abs(is.share(name) - exact) < 1, `${name}: ${exact} became ${is.share(name)}`);
      }
      if (share === 100 || wish.percent === undefined) assert(after.some(({ revision }) => revision === LATEST));
      else assert(after.every(({ revision }) => revision !== LATEST), "the others are pinned by name");
    }),
    { numRuns: 1000 },
  );
});
