/** One part of a service's traffic. */
export interface TrafficTarget {
  /** A revision's name, or {@linkcode LATEST}. */
  readonly revision: string;
  /** How much of the traffic it gets: a whole number from 0 to 100. */
  readonly percent: number;
  /** Under this name the revision has an address of its own, `TAG--SERVICE`. */
  readonly tag?: string;
}

/** All parts; their percents sum to 100. */
export type Traffic = readonly TrafficTarget[];

/** Stands for whichever revision was deployed last. */
export const LATEST = "latest";

/** What {@linkcode deployTraffic} and {@linkcode checkTraffic} refuse; the message is for whoever asked. */
export class TrafficError extends Error {
  override readonly name = "TrafficError";
}

/**
 * Checks a whole split.
 *
 * @param revisions The names of the service's revisions.
 * @param latest The one that `latest` stands for; `undefined` where that is not known.
 * @throws {TrafficError} Where percents are no whole numbers from 0 to 100 or do not sum to 100, where a revision or tag
 * is there twice, or a revision does not exist, and where `latest` and the name that it stands for have a tag each.
 */
export function checkTraffic(traffic: Traffic, revisions: ReadonlySet<string>, latest?: string): void {
  const names = new Set<string>();
  const tags = new Set<string>();
  let sum = 0;
  for (const { revision, percent, tag } of traffic) {
    checkPercent(revision, percent);
    if (revision !== LATEST && !revisions.has(revision)) throw new TrafficError(`there is no revision ${revision}`);
    if (names.has(revision)) throw new TrafficError(`${revision} is there twice`);
    if (tag !== undefined && tags.has(tag)) throw new TrafficError(`the tag ${tag} is there twice`);
    names.add(revision);
    if (tag !== undefined) tags.add(tag);
    sum += percent;
  }
  if (sum !== 100) throw new TrafficError(`the percents must sum to 100, and not to ${sum}`);
  const tagged = traffic.filter(({ revision, tag }) =>
    tag !== undefined && (revision === LATEST || revision === latest)
  );
  if (latest !== undefined && tagged.length > 1) {
    // By name there is one part for both, with one tag.
    throw new TrafficError(`${latest} is what latest stands for, and only one of the two may have a tag`);
  }
}

/**
 * The same split with {@linkcode LATEST} replaced by the name that it stands for. A revision that had two parts has one;
 * where both had a tag, which {@linkcode checkTraffic} refuses, the first is kept.
 */
export function resolveTraffic(traffic: Traffic, latest: string): Traffic {
  return merge(traffic.map((target) => target.revision === LATEST ? { ...target, revision: latest } : target));
}

/** What the deploy of a revision says of traffic. */
export interface TrafficWish {
  /** How much the new revision gets; where it is missing, the share of `latest`, or everything. */
  readonly percent?: number;
  /** Its tag; taken from whichever revision has it. */
  readonly tag?: string;
}

/**
 * The split after a new revision has come.
 *
 * @param before The split until now; empty for the first revision, which gets everything.
 * @param latest The revision that `latest` stood for until now; `undefined` for the first.
 * @param revision The new one, that `latest` stands for from now on.
 * @throws {TrafficError} Where nobody is there to take what the new revision does not, or the percent is none.
 */
export function deployTraffic(
  before: Traffic,
  latest: string | undefined,
  revision: string,
  { percent, tag }: TrafficWish,
): Traffic {
  // By its name, so that the tag stays with it when the next one comes.
  const tagged = tag === undefined ? [] : [{ revision, percent: 0, tag }];
  if (latest === undefined) return [{ revision: LATEST, percent: 100 }, ...tagged];
  const share = percent ?? before.find((target) => target.revision === LATEST)?.percent ?? 100;
  checkPercent(revision, share);
  const old = before.map((target) => target.tag === tag ? withoutTag(target) : target);
  if (percent === undefined || percent === 100) {
    return useful([{ revision: LATEST, percent: share }, ...stepAside(old, latest, share), ...tagged]);
  }
  const others = shrink(resolveTraffic(old, latest), 100 - percent);
  if (others.every((target) => target.percent === 0)) {
    throw new TrafficError(`there is no other revision to take the remaining ${100 - percent} percent`);
  }
  return useful([...others, { revision, percent, ...(tag === undefined ? {} : { tag }) }]);
}

/**
 * Chooses a part by its percent.
 *
 * @param random From 0 to below 1, evenly.
 */
export function draw<T extends { readonly percent: number }>(targets: readonly T[], random: number): T {
  let point = Math.floor(random * 100);
  for (const target of targets) {
    point -= target.percent;
    if (point < 0) return target;
  }
  throw new Error("The percents do not sum to 100");
}

/**
 * The parts by name, without the share that `latest` had; without any where the new `latest` gets everything. A tag that
 * was given to `latest` stays with the revision that it meant.
 */
function stepAside(traffic: Traffic, latest: string, share: number): Traffic {
  return merge(traffic.map((target) => {
    if (target.revision === LATEST) return { ...target, revision: latest, percent: 0 };
    return share === 100 ? { ...target, percent: 0 } : target;
  }));
}

/**
 * Shares out percents in proportion to those before, as whole numbers: the largest remainder method,
 * https://en.wikipedia.org/wiki/Quota_method
 */
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

/** One part for each revision. */
function merge(traffic: Traffic): Traffic {
  const byName = new Map<string, TrafficTarget>();
  for (const target of traffic) {
    const { percent, tag } = byName.get(target.revision) ?? { percent: 0 };
    const label = tag ?? target.tag;
    byName.set(target.revision, {
      revision: target.revision,
      percent: percent + target.percent,
      ...(label === undefined ? {} : { tag: label }),
    });
  }
  return [...byName.values()];
}

/** Without parts that get nothing and have no address; a `latest` of 0 says that new revisions get nothing, and stays. */
function useful(traffic: Traffic): Traffic {
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
