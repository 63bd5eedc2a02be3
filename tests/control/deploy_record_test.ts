import { assertEquals } from "@std/assert";
import { type DeployMark, lastOutput, lastTried, surplusDeploys } from "../../src/control/deploy_record.ts";

/** Marks from texts such as `web+` for one that worked and `web-` for one that did not, the oldest first. */
function marks(...texts: string[]): DeployMark[] {
  return texts.map((text, at) => ({
    id: at + 1,
    service: text.slice(0, -1),
    outcome: text.endsWith("+") ? "deployed" : at % 2 === 0 ? "failed" : "called off",
  }));
}

/** The ids of those that are not kept, sorted. */
function surplus(all: readonly DeployMark[], limits?: { maxEach?: number; maxAll?: number }): number[] {
  return surplusDeploys(all, limits).sort((a, b) => a - b);
}

Deno.test("within the limits, all deploys are kept", () => {
  assertEquals(surplus([]), []);
  assertEquals(surplus(marks("a+", "a-", "b-"), { maxEach: 1, maxAll: 3 }), []);
});

Deno.test("of each service, the oldest deploys go, and those that worked do not push out the others", () => {
  assertEquals(surplus(marks("a-", "a-", "b-", "a+", "a+", "a+", "a-"), { maxEach: 2 }), [1, 4]);
  assertEquals(surplus(marks("a-", "a+", "a+", "a+", "a+"), { maxEach: 2 }), [2, 3]);
});

Deno.test("what is kept does not depend on the order in which the deploys are given", () => {
  const all = marks("a-", "b+", "a-", "b+", "a-", "c+", "b-");
  const limits = { maxEach: 2, maxAll: 3 };
  assertEquals(surplus(all.toReversed(), limits), surplus(all, limits));
});

Deno.test("beyond the limit of all services, those that worked go first, and then the oldest", () => {
  assertEquals(surplus(marks("a-", "b+", "c-", "d+", "e-"), { maxAll: 4 }), [2]);
  assertEquals(surplus(marks("a-", "b+", "c-", "d+", "e-"), { maxAll: 2 }), [1, 2, 4]);
});

Deno.test("by default 20 of each kind of a service are kept, and 2,000 in all", () => {
  const ofOne = marks(...Array.from({ length: 45 }, (_, at) => at < 25 ? "a-" : "a+"));
  assertEquals(surplus(ofOne), [1, 2, 3, 4, 5]);
  const ofMany = marks(...Array.from({ length: 2003 }, (_, at) => `s${at}-`));
  assertEquals(surplus(ofMany), [1, 2, 3]);
});

Deno.test("the last lines of an output are kept as far as they fit, in bytes with their line ends", () => {
  assertEquals(lastOutput([]), []);
  assertEquals(lastOutput(["one", "two", "three"]), ["one", "two", "three"]);
  assertEquals(lastOutput(["one", "two", "three"], 10), ["two", "three"]);
  assertEquals(lastOutput(["one", "two", "three"], 9), ["three"]);
  assertEquals(lastOutput(["é", "é"], 5), ["é"]);
});

Deno.test("a last line that does not fit is cut, never within a character", () => {
  assertEquals(lastOutput(["before", "abcdef"], 4), ["abcd"]);
  assertEquals(lastOutput(["ab\u{1F600}"], 5), ["ab"]);
  const [line = ""] = lastOutput(["x".repeat(100_000)]);
  assertEquals(line.length, 8192);
});

Deno.test("the highest number that deploys have tried is found, whatever their order", () => {
  assertEquals(lastTried([]), 0);
  assertEquals(lastTried([{ revision: undefined }, { revision: "web-2-00012" }, { revision: "web-2-00009" }]), 12);
});
