import fc from "fast-check";
import { LATEST, type Traffic } from "../../src/model/traffic.ts";

/** Names of revisions. */
export const NAMES = ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6"];
/** The same as a set. */
export const REVISIONS = new Set(NAMES);

/** A split, written `NAME PERCENT TAG, …`. */
export function split(text: string): Traffic {
  return text.split(", ").filter(Boolean).map((part) => {
    const [revision = "", percent, tag] = part.split(" ");
    return { revision, percent: Number(percent), ...(tag === undefined ? {} : { tag }) };
  });
}

/** The same backwards. */
export function written(traffic: Traffic): string {
  return traffic.map(({ revision, percent, tag }) => [revision, percent, ...tag === undefined ? [] : [tag]].join(" "))
    .join(", ");
}

/** Whole numbers that sum to 100. */
function percents(count: number): fc.Arbitrary<number[]> {
  return fc.array(fc.nat({ max: 100 }), { minLength: count - 1, maxLength: count - 1 }).map((cuts) => {
    const at = [0, ...cuts.sort((a, b) => a - b), 100];
    return at.slice(1).map((end, index) => end - at[index]!);
  });
}

/** A split that `checkTraffic` accepts where the last of `NAMES` is the latest. */
export const good: fc.Arbitrary<Traffic> = fc.subarray([LATEST, ...NAMES], { minLength: 1 }).chain((chosen) =>
  fc.tuple(
    fc.shuffledSubarray(chosen, { minLength: chosen.length }),
    percents(chosen.length),
    fc.array(fc.boolean(), { minLength: chosen.length, maxLength: chosen.length }),
  )
).map(([revisions, shares, tagged]) => {
  const both = revisions.indexOf(LATEST);
  return revisions.map((revision, at) => {
    const hasTag = tagged[at]! && !(revision === NAMES.at(-1) && both >= 0 && tagged[both]!);
    return { revision, percent: shares[at]!, ...(hasTag ? { tag: `tag-${at}` } : {}) };
  });
});
