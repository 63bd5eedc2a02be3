import { defined } from "../model/defined.ts";
import { LATEST, type Traffic, type TrafficTarget } from "../model/traffic.ts";

/** A revision's share of a split, as given on the command line. */
export interface TrafficPart {
  readonly revision: string;
  readonly percent: number;
  /** An empty text removes the tag; without this field, the tag stays. */
  readonly tag?: string;
}

export interface TrafficChange {
  /** The whole split; empty to keep the percents. */
  readonly parts: readonly TrafficPart[];
  /** Tags to set, each taken from its present revision. */
  readonly tags: readonly { readonly revision: string; readonly tag: string }[];
  readonly untag: readonly string[];
}

/** Reads `REVISION=PERCENT` or `REVISION=PERCENT,tag=TAG`. @throws {RangeError} For anything else. */
export function parsePart(text: string): TrafficPart {
  const [, revision, percent, tag] = /^([a-z][a-z0-9-]*)=(\d{1,3})%?(?:,tag=([a-z0-9-]*))?$/.exec(text) ?? [];
  if (revision === undefined) {
    throw new RangeError("expected REVISION=PERCENT or REVISION=PERCENT,tag=TAG, such as web-00002=70 or latest=100");
  }
  return defined({ revision, percent: Number(percent), tag });
}

/** Reads `REVISION=TAG`. @throws {RangeError} For anything else. */
export function parseTag(text: string): { revision: string; tag: string } {
  const [, revision, tag] = /^([a-z][a-z0-9-]*)=([a-z0-9-]+)$/.exec(text) ?? [];
  if (revision === undefined) throw new RangeError("expected REVISION=TAG such as web-00002=next");
  return { revision, tag: tag! };
}

/**
 * The split after a change. Revisions keep their tags, even with a share of 0, unless the change says otherwise.
 *
 * @param latest The revision that `latest` stands for.
 */
export function changedTraffic(before: Traffic, latest: string, { parts, tags, untag }: TrafficChange): Traffic {
  const targets = new Map<string, TrafficTarget>(
    (parts.length > 0 ? parts : before).map(({ revision, percent }) => [revision, { revision, percent }]),
  );
  const give = (revision: string, tag: string) => {
    targets.set(revision, { revision, percent: targets.get(revision)?.percent ?? 0, tag });
  };
  const given = [...parts.flatMap(({ revision, tag }) => tag === undefined ? [] : [{ revision, tag }]), ...tags];
  const changed = new Set(given.flatMap(({ revision }) => namesOf(revision, latest)));
  const moved = new Set([...given.map(({ tag }) => tag), ...untag]);
  for (const { revision, tag } of before) {
    if (tag === undefined || moved.has(tag) || changed.has(revision)) continue;
    give(revision === LATEST && !targets.has(LATEST) ? latest : revision, tag);
  }
  for (const { revision, tag } of given) {
    if (tag !== "") give(revision, tag);
  }
  return [...targets.values()];
}

/** All names of a revision: the latest one has two. */
function namesOf(revision: string, latest: string): string[] {
  return revision === LATEST || revision === latest ? [LATEST, latest] : [revision];
}
