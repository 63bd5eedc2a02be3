import {
  checkTraffic,
  deployTraffic,
  LATEST,
  resolveTraffic,
  type Traffic,
  type TrafficTarget,
  type TrafficWish,
} from "../model/traffic.ts";
import type { ServiceRecord } from "../control/records.ts";

/** What a deploy says of traffic. */
export interface TrafficRequest {
  /** How much the deployed revision gets, percent. */
  readonly traffic?: number;
  /** The deployed revision's tag. */
  readonly tag?: string;
  /** All parts; never beside the other two. */
  readonly targets?: Traffic;
}

/**
 * The split of a service once a revision is its latest.
 *
 * @param before Where there was one.
 * @param names The names of all its revisions, the deployed one among them.
 * @param revision The deployed one: a new one, or the latest that was deployed again.
 * @throws {TrafficError}
 */
export function trafficAfter(
  before: ServiceRecord | undefined,
  names: ReadonlySet<string>,
  revision: string,
  { traffic: percent, tag, targets }: TrafficRequest,
): Traffic {
  if (targets !== undefined) return checkedTraffic(targets, names, revision);
  if (before?.latestRevision !== revision) {
    return deployTraffic(before?.traffic ?? [], before?.latestRevision, revision, wishOf(percent, tag));
  }
  // One that is alone has everything, whatever it asks for: as when it came.
  return again(before.traffic, revision, wishOf(names.size === 1 ? undefined : percent, tag));
}

/** A whole split, without the parts that say nothing. @throws {TrafficError} Where it is wrong. */
export function checkedTraffic(targets: Traffic, names: ReadonlySet<string>, latest: string): Traffic {
  checkTraffic(targets, names, latest);
  return targets.filter(({ revision, percent, tag }) => percent > 0 || tag !== undefined || revision === LATEST);
}

/** Who gets how much: by names in their order, without tags and without those that get nothing. */
function splitOf(traffic: Traffic, latest: string): Traffic {
  return resolveTraffic(traffic, latest)
    .filter(({ percent }) => percent > 0)
    .map(({ revision, percent }) => ({ revision, percent }))
    .sort((a, b) => a.revision < b.revision ? -1 : 1);
}

/** The split before the last change of who gets how much, once a service's traffic has become another. */
export function previousAfter(before: ServiceRecord, traffic: Traffic, latest: string): Traffic {
  const old = splitOf(before.traffic, before.latestRevision);
  return sameTraffic(old, splitOf(traffic, latest)) ? before.previousTraffic : old;
}

/** The traffic with the percents of the previous split; tags stay where they are. */
export function rolledBack({ traffic, latestRevision, previousTraffic }: ServiceRecord): Traffic {
  const tags = new Map(
    resolveTraffic(traffic, latestRevision).flatMap(({ revision, tag }) => tag ? [[revision, tag]] : []),
  );
  const back = previousTraffic.map(({ revision, percent }): TrafficTarget => {
    const tag = tags.get(revision);
    tags.delete(revision);
    return { revision, percent, ...(tag === undefined ? {} : { tag }) };
  });
  return [...back, ...[...tags].map(([revision, tag]) => ({ revision, percent: 0, tag }))];
}

/** Whether two splits say the same in the same words. */
export function sameTraffic(a: Traffic, b: Traffic): boolean {
  const textOf = (traffic: Traffic) =>
    JSON.stringify(traffic.map(({ revision, percent, tag }) => [revision, percent, tag]));
  return textOf(a) === textOf(b);
}

function wishOf(percent: number | undefined, tag: string | undefined): TrafficWish {
  return { ...(percent === undefined ? {} : { percent }), ...(tag === undefined ? {} : { tag }) };
}

/** The split after the latest revision was deployed once more; the same wish twice changes nothing the second time. */
function again(traffic: Traffic, latest: string, { percent, tag }: TrafficWish): Traffic {
  const own = resolveTraffic(traffic, latest).find(({ revision }) => revision === latest);
  if (percent === undefined) return tag === undefined || tag === own?.tag ? traffic : tagged(traffic, latest, tag);
  const others = traffic.filter(({ revision }) => revision !== LATEST && revision !== latest);
  return deployTraffic(others, latest, latest, wishOf(percent, tag ?? own?.tag));
}

/** The split with a tag moved to the latest revision, in place of the one that it had. */
function tagged(traffic: Traffic, latest: string, tag: string): Traffic {
  const untagged = traffic.map((target): TrafficTarget => {
    const loses = target.tag === tag || target.revision === LATEST || target.revision === latest;
    return loses ? { revision: target.revision, percent: target.percent } : target;
  });
  const percent = untagged.find(({ revision }) => revision === latest)?.percent ?? 0;
  return [
    ...untagged.filter(({ revision, percent, tag }) =>
      revision !== latest && (percent > 0 || tag !== undefined || revision === LATEST)
    ),
    { revision: latest, percent, tag },
  ];
}
