import type { DeployRecord } from "./records.ts";

/** Of each service, at most this many deploys that worked are kept, and as many of the others. */
const MAX_EACH = 20;
/** At most this many deploys of all services are kept. */
const MAX_ALL = 2000;
/** How much of an app's output is kept with a deploy, bytes of UTF-8 with line ends. */
const MAX_OUTPUT_BYTES = 8192;

/** What decides whether a deploy is kept. The id increases with every deploy that is stored. */
export type DeployMark = Pick<DeployRecord, "service" | "outcome"> & { readonly id: number };

/**
 * The ids of the deploys that are not kept. Of one service, those that worked do not push out the others. Beyond the
 * limit for all services, those that worked go first, since the history has them too; else the oldest go first.
 */
export function surplusDeploys(
  marks: readonly DeployMark[],
  { maxEach = MAX_EACH, maxAll = MAX_ALL } = {},
): number[] {
  const newestFirst = marks.toSorted((a, b) => b.id - a.id);
  const groups = Map.groupBy(newestFirst, ({ outcome, service }) => `${service} ${outcome === "deployed"}`);
  const surplus = [...groups.values()].flatMap((group) => group.slice(maxEach));
  const kept = [...new Set(newestFirst).difference(new Set(surplus))];
  const { others = [], worked = [] } = Object.groupBy(
    kept,
    ({ outcome }) => outcome === "deployed" ? "worked" : "others",
  );
  return [...surplus, ...[...others, ...worked].slice(maxAll)].map(({ id }) => id);
}

/** The highest number of a revision that deploys have made or tried; 0 if there is none. */
export function lastTried(deploys: readonly Pick<DeployRecord, "revision">[]): number {
  return Math.max(0, ...deploys.map(({ revision = "" }) => Number(/-(\d+)$/.exec(revision)?.[1] ?? 0)));
}

/** The last lines of an output that fit in `maxBytes`. A last line that does not fit is cut at its end. */
export function lastOutput(lines: readonly string[], maxBytes = MAX_OUTPUT_BYTES): string[] {
  const kept: string[] = [];
  let left = maxBytes;
  for (const line of lines.toReversed()) {
    left -= byteLength(line) + 1;
    if (left < 0) break;
    kept.unshift(line);
  }
  const last = lines.at(-1);
  return kept.length > 0 || last === undefined ? kept : [cut(last, maxBytes)];
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The beginning of a text, without half a character at its end. */
function cut(text: string, maxBytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes));
  return text.slice(0, read);
}
