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
 * @throws {TrafficError} Where percents are no whole numbers from 0 to 100 or do not sum to 100, and where a revision or
 * tag is there twice, or a revision does not exist.
 */
export function checkTraffic(traffic: Traffic, revisions: ReadonlySet<string>): void {
  const names = new Set<string>();
  const tags = new Set<string>();
  let sum = 0;
  for (const { revision, percent, tag } of traffic) {
    if (!Number.isInteger(percent) || percent < 0 || percent > 100) {
      throw new TrafficError(`the percent of ${revision} must be a whole number from 0 to 100`);
    }
    if (revision !== LATEST && !revisions.has(revision)) throw new TrafficError(`there is no revision ${revision}`);
    if (names.has(revision)) throw new TrafficError(`${revision} is there twice`);
    if (tag !== undefined && tags.has(tag)) throw new TrafficError(`the tag ${tag} is there twice`);
    names.add(revision);
    if (tag !== undefined) tags.add(tag);
    sum += percent;
  }
  if (sum !== 100) throw new TrafficError(`the percents must sum to 100, and not ${sum}`);
}

/** The same split with {@linkcode LATEST} replaced by the name that it stands for; a revision has one part, and one tag. */
export function resolveTraffic(traffic: Traffic, latest: string): Traffic {
  const byName = new Map<string, TrafficTarget>();
  for (const { revision, percent, tag } of traffic) {
    const name = revision === LATEST ? latest : revision;
    const known = byName.get(name);
    const label = known?.tag ?? tag;
    byName.set(name, {
      revision: name,
      percent: percent + (known?.percent ?? 0),
      ...(label === undefined ? {} : { tag: label }),
    });
  }
  return [...byName.values()];
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
 * @param revision The new one.
 * @throws {TrafficError} Where nobody is there to take what the new revision does not.
 */
export function deployTraffic(
  before: Traffic,
  latest: string | undefined,
  revision: string,
  { percent, tag }: TrafficWish,
): Traffic {
  const untagged = before.map((target) => target.tag === tag ? withoutTag(target) : target);
  const tagged = tag === undefined ? [] : [{ revision, percent: 0, tag }];
  if (latest === undefined) return [{ revision: LATEST, percent: 100 }, ...tagged];
  if (percent === undefined) {
    if (untagged.some((target) => target.revision === LATEST)) {
      return merge([...keepTags(untagged, latest), ...tagged]);
    }
    return merge([
      { revision: LATEST, percent: 100 },
      ...untagged.map((target) => ({ ...target, percent: 0 })),
      ...tagged,
    ]);
  }
  if (percent === 100) {
    const others = resolveTraffic(untagged, latest).map((target) => ({ ...target, percent: 0 }));
    return merge([{ revision: LATEST, percent: 100 }, ...others, ...tagged]);
  }
  const others = shrink(resolveTraffic(untagged, latest), 100 - percent);
  if (others.every((target) => target.percent === 0)) {
    throw new TrafficError(`there is no other revision to take the remaining ${100 - percent} percent`);
  }
  return merge([...others, { revision, percent, ...(tag === undefined ? {} : { tag }) }]);
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

/** A tag that was given to `latest` stays with the revision that it meant. */
function keepTags(traffic: Traffic, latest: string): Traffic {
  return traffic.flatMap((target) =>
    target.revision === LATEST && target.tag !== undefined
      ? [withoutTag(target), { revision: latest, percent: 0, tag: target.tag }]
      : [target]
  );
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

/** Leaves out parts that get nothing and have no address. */
function merge(traffic: Traffic): Traffic {
  return traffic.filter(({ percent, tag }) => percent > 0 || tag !== undefined);
}

function withoutTag({ revision, percent }: TrafficTarget): TrafficTarget {
  return { revision, percent };
}
