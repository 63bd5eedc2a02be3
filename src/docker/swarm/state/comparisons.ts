import { ClessError } from "../../../base/errors.ts";
import type { ServiceRecord } from "../../../control/records.ts";
import { type Labels, NO_DATA, type SharedService, tooLarge } from "./shared_records.ts";

/** Whether two states of a service are the same: every change makes another generation, at another time. */
export function isSame(a: ServiceRecord | undefined, b: ServiceRecord | undefined): boolean {
  return a?.generation === b?.generation && a?.createdAt === b?.createdAt && a?.updatedAt === b?.updatedAt;
}

/** What distinguishes the past of a service from another one. */
export function pastText({ deploys, history }: Pick<SharedService, "deploys" | "history">): string {
  const entries = history.toSorted((a, b) => b.at - a.at).map(({ action, at, by }) => [at, action, by]);
  return JSON.stringify([entries, deploys.map(({ outcome, revision, startedAt }) => [startedAt, outcome, revision])]);
}

/** @throws {ClessError} `too_large` If a config of a service does not fit into a Swarm. */
export function refuseLarge(service: string, labels: Labels, data: Uint8Array = NO_DATA): void {
  const problem = tooLarge(labels, data);
  if (problem !== undefined) {
    throw new ClessError("too_large", `The Swarm cannot store this of the service ${service}: it ${problem}`);
  }
}
