import { defined } from "../model/defined.ts";
import {
  checkTraffic,
  deployTraffic,
  LATEST,
  resolveTraffic,
  type Traffic,
  type TrafficTarget,
  type TrafficWish,
  withoutEmpty,
} from "../model/traffic.ts";
import type { ServiceRecord } from "../control/records.ts";

/** The traffic that a deploy asks for. */
export interface TrafficRequest {
  /** The deployed revision's share, in percent. */
  readonly traffic?: number;
  readonly tag?: string;
  /** The whole split; never together with the other two. */
  readonly targets?: Traffic;
}

/**
 * The split of a service after a deploy.
 *
 * @param before The service before the deploy; `undefined` if there was none.
 * @param names The names of all revisions, including the deployed one.
 * @param revision The deployed revision: a new one, or the latest one if it is deployed again.
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
    return deployTraffic(before?.traffic ?? [], before?.latestRevision, revision, defined({ percent, tag }));
  }
  // A service's only revision gets everything, whatever the deploy asks for.
  return redeployTraffic(before.traffic, revision, defined({ percent: names.size === 1 ? undefined : percent, tag }));
}

/** Checks a whole split, and leaves out targets without effect. @throws {TrafficError} */
export function checkedTraffic(targets: Traffic, names: ReadonlySet<string>, latest: string): Traffic {
  checkTraffic(targets, names, latest);
  return withoutEmpty(targets);
}

/** The shares by revision name, in order, without tags and without empty shares. */
function splitOf(traffic: Traffic, latest: string): Traffic {
  return resolveTraffic(traffic, latest)
    .filter(({ percent }) => percent > 0)
    .map(({ revision, percent }) => ({ revision, percent }))
    .sort((a, b) => a.revision < b.revision ? -1 : 1);
}

/** A service's `previousTraffic` after a change of its traffic. It is unchanged if no share has changed. */
export function previousAfter(before: ServiceRecord, traffic: Traffic, latest: string): Traffic {
  const old = splitOf(before.traffic, before.latestRevision);
  return sameTraffic(old, splitOf(traffic, latest)) ? before.previousTraffic : old;
}

/** The traffic with the shares of the previous split. Tags stay where they are. */
export function rolledBack({ traffic, latestRevision, previousTraffic }: ServiceRecord): Traffic {
  const tags = new Map(
    resolveTraffic(traffic, latestRevision).flatMap(({ revision, tag }) => tag ? [[revision, tag]] : []),
  );
  const back = previousTraffic.map(({ revision, percent }): TrafficTarget => {
    const tag = tags.get(revision);
    tags.delete(revision);
    return defined({ revision, percent, tag });
  });
  return [...back, ...[...tags].map(([revision, tag]) => ({ revision, percent: 0, tag }))];
}

/** Whether two splits have the same targets in the same order. */
export function sameTraffic(a: Traffic, b: Traffic): boolean {
  const textOf = (traffic: Traffic) =>
    JSON.stringify(traffic.map(({ revision, percent, tag }) => [revision, percent, tag]));
  return textOf(a) === textOf(b);
}

/**
 * The split after the latest revision is deployed again. Deploying it twice with the same wish changes nothing the
 * second time.
 */
function redeployTraffic(traffic: Traffic, latest: string, { percent, tag }: TrafficWish): Traffic {
  const own = resolveTraffic(traffic, latest).find(({ revision }) => revision === latest);
  if (percent === undefined) return tag === undefined || tag === own?.tag ? traffic : tagged(traffic, latest, tag);
  const others = traffic.filter(({ revision }) => revision !== LATEST && revision !== latest);
  return deployTraffic(others, latest, latest, defined({ percent, tag: tag ?? own?.tag }));
}

/** The split with a tag moved to the latest revision; it replaces that revision's tag. */
function tagged(traffic: Traffic, latest: string, tag: string): Traffic {
  const untagged = traffic.map((target): TrafficTarget => {
    const loses = target.tag === tag || target.revision === LATEST || target.revision === latest;
    return loses ? { revision: target.revision, percent: target.percent } : target;
  });
  const percent = untagged.find(({ revision }) => revision === latest)?.percent ?? 0;
  return [
    ...withoutEmpty(untagged).filter(({ revision }) => revision !== latest),
    { revision: latest, percent, tag },
  ];
}
