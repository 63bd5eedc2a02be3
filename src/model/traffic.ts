import { defined } from "./defined.ts";

/** A revision's share of a traffic split. */
export interface TrafficTarget {
  /** A revision's name, or {@linkcode LATEST}. */
  readonly revision: string;
  readonly percent: number;
  /** Gives the revision an address of its own, `TAG--SERVICE`. */
  readonly tag?: string;
}

/** A traffic split; its percents sum to 100. */
export type Traffic = readonly TrafficTarget[];

/** The alias for the revision that was deployed last. */
export const LATEST = "latest";

/** A split is invalid; the message is for the client. */
export class TrafficError extends Error {
  override readonly name = "TrafficError";
}

/**
 * Checks a split of a service with these revisions.
 *
 * @param latest The revision that `latest` stands for; `undefined` if unknown.
 * @throws {TrafficError} If the percents are not whole numbers that sum to 100, a revision or a tag occurs twice, a
 * revision does not exist, or both `latest` and its revision have a tag.
 */
export function checkTraffic(traffic: Traffic, revisions: ReadonlySet<string>, latest?: string): void {
  const names = new Set<string>();
  const tags = new Set<string>();
  let sum = 0;
  for (const { revision, percent, tag } of traffic) {
    checkPercent(revision, percent);
    if (revision !== LATEST && !revisions.has(revision)) throw new TrafficError(`there is no revision ${revision}`);
    if (names.has(revision)) throw new TrafficError(`${revision} is given twice`);
    if (tag !== undefined && tags.has(tag)) throw new TrafficError(`the tag ${tag} is given twice`);
    names.add(revision);
    if (tag !== undefined) tags.add(tag);
    sum += percent;
  }
  if (sum !== 100) throw new TrafficError(`the percents must sum to 100, and not to ${sum}`);
  const tagged = traffic.filter(({ revision, tag }) =>
    tag !== undefined && (revision === LATEST || revision === latest)
  );
  if (latest !== undefined && tagged.length > 1) {
    // Both mean the same revision, and a target has one tag.
    throw new TrafficError(`${latest} is what latest stands for, and only one of the two may have a tag`);
  }
}

/**
 * Replaces {@linkcode LATEST} by the revision that it stands for, and merges two targets of the same revision. If both
 * have a tag, which {@linkcode checkTraffic} refuses, the first tag wins.
 */
export function resolveTraffic(traffic: Traffic, latest: string): Traffic {
  return merge(traffic.map((target) => target.revision === LATEST ? { ...target, revision: latest } : target));
}

/** The traffic that a deploy asks for. */
export interface TrafficWish {
  /** The percent of the new revision; by default the share of `latest`, or everything if there is none. */
  readonly percent?: number;
  /** The tag of the new revision. Its present holder loses it. */
  readonly tag?: string;
}

/**
 * The split after a deploy, in which `latest` stands for the new revision.
 *
 * @param before Empty for the first revision, which gets everything.
 * @param latest What `latest` stood for before; `undefined` for the first revision.
 * @throws {TrafficError} If no other revision can take the rest, or the percent is invalid.
 */
export function deployTraffic(
  before: Traffic,
  latest: string | undefined,
  revision: string,
  { percent, tag }: TrafficWish,
): Traffic {
  // By name, so that the tag stays with this revision after the next deploy.
  const tagged = tag === undefined ? [] : [{ revision, percent: 0, tag }];
  if (latest === undefined) return [{ revision: LATEST, percent: 100 }, ...tagged];
  const share = percent ?? before.find((target) => target.revision === LATEST)?.percent ?? 100;
  checkPercent(revision, share);
  const old = before.map((target) => target.tag === tag ? withoutTag(target) : target);
  if (percent === undefined || percent === 100) {
    return withoutEmpty([{ revision: LATEST, percent: share }, ...oldTargets(old, latest, share), ...tagged]);
  }
  const others = shrink(resolveTraffic(old, latest), 100 - percent);
  if (others.every((target) => target.percent === 0)) {
    throw new TrafficError(`there is no other revision to take the remaining ${100 - percent} percent`);
  }
  return withoutEmpty([...others, defined({ revision, percent, tag })]);
}

/** Chooses a target at random, weighted by percent; `random` is evenly distributed from 0 to below 1. */
export function draw<T extends { readonly percent: number }>(targets: readonly T[], random: number): T {
  let point = Math.floor(random * 100);
  for (const target of targets) {
    point -= target.percent;
    if (point < 0) return target;
  }
  throw new Error("The percents do not sum to 100");
}

/**
 * The targets of the old revisions. `latest` becomes the revision that it stood for, which keeps its tag but gets no
 * share. If the new revision takes everything, no old revision keeps a share.
 */
function oldTargets(traffic: Traffic, latest: string, share: number): Traffic {
  return merge(traffic.map((target) => {
    if (target.revision === LATEST) return { ...target, revision: latest, percent: 0 };
    return share === 100 ? { ...target, percent: 0 } : target;
  }));
}

/** Scales percents to another total by largest remainders: https://en.wikipedia.org/wiki/Quota_method */
function shrink(traffic: Traffic, total: number): Traffic {
  const sum = traffic.reduce((sum, { percent }) => sum + percent, 0);
  if (sum === 0) return traffic;
  const whole = traffic.map(({ percent }) => Math.floor(percent * total / sum));
  const left = total - whole.reduce((sum, share) => sum + share, 0);
  const remainder = (at: number) => traffic[at]!.percent * total % sum;
  const byRemainder = traffic.map((_, at) => at).sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (const at of byRemainder.slice(0, left)) whole[at]!++;
  return traffic.map((target, at) => ({ ...target, percent: whole[at]! }));
}

function merge(traffic: Traffic): Traffic {
  const byName = new Map<string, TrafficTarget>();
  for (const target of traffic) {
    const { percent, tag } = byName.get(target.revision) ?? { percent: 0 };
    const { revision } = target;
    byName.set(revision, defined({ revision, percent: percent + target.percent, tag: tag ?? target.tag }));
  }
  return [...byName.values()];
}

/** Drops targets with neither traffic nor tag. A `latest` of 0 stays: it says that later revisions get no traffic. */
export function withoutEmpty(traffic: Traffic): Traffic {
  return traffic.filter(({ revision, percent, tag }) => percent > 0 || tag !== undefined || revision === LATEST);
}

function checkPercent(revision: string, percent: number): void {
  if (!Number.isInteger(percent) || percent < 0 || percent > 100) {
    throw new TrafficError(`the percent of ${revision} must be a whole number from 0 to 100`);
  }
}

function withoutTag({ revision, percent }: TrafficTarget): TrafficTarget {
  return { revision, percent };
}
