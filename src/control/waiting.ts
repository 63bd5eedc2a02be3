import { defined } from "../model/defined.ts";
import { isAsleep } from "../model/instance_state.ts";
import type { Instance } from "../pool/instance.ts";
import type { Probed } from "../pool/probe.ts";
import type { RunningDeploy } from "./running_deploys.ts";

/** The words for what a deploy, a start or a wake waits for. */
export const WAITS = ["pull", "handover", "container", "answer", "resume"] as const;

/** What a deploy, a start or a wake waits for. */
export interface Waiting {
  readonly for: typeof WAITS[number];
  /** The same in words, one line. */
  readonly text: string;
  /** When the deploy or the start began, ms since 1970. */
  readonly since: number;
  /** The image that is pulled; only there with `pull`. */
  readonly image?: string;
  /** How many layers of the image are here, and how many are known; only there with `pull`, once known. */
  readonly done?: number;
  readonly total?: number;
  readonly revision?: string;
  readonly instance?: string;
  /** What the app did at the last probe; only there with `answer`. */
  readonly probed?: Probed;
}

/** What is known of an instance that is not ready. */
export type WaitedFor =
  & Pick<Instance, "id" | "origin" | "probed" | "state" | "startedAt" | "waking">
  & { readonly revision: Pick<Instance["revision"], "name" | "port" | "readinessPath" | "service"> };

/**
 * What a service waits for: its deploy, else an instance that starts or wakes; `undefined` if there is nothing to wait
 * for.
 *
 * @param deploy Its deploy that is under way.
 * @param instances Its instances, the oldest first.
 * @param exposed The ports that the images of instances expose, by the instance's id, as far as they are known.
 */
export function waitingOf(
  deploy: RunningDeploy | undefined,
  instances: readonly WaitedFor[],
  exposed: ReadonlyMap<string, readonly number[]> = new Map(),
): Waiting | undefined {
  const waitFor = (one: WaitedFor, since: number) => waitingForInstance(one, since, exposed.get(one.id) ?? []);
  if (deploy === undefined) {
    const instance = instances.find(isStarting) ?? instances.find(isWaking);
    return instance && waitFor(instance, instance.startedAt.getTime());
  }
  const { image, isHandingOver, pull, revision, startedAt: since } = deploy;
  if (pull !== undefined) {
    const { done, total } = pull;
    const known = total > 0 ? { done, total } : {};
    return { for: "pull", text: pullText(image, pull), since, image, ...known };
  }
  if (revision === undefined) return undefined;
  const instance = instances.find((one) => one.revision.name === revision && isStarting(one));
  if (instance !== undefined) return waitFor(instance, since);
  if (!isHandingOver) return undefined;
  const text = `what has the volumes of ${revision} must stop first, after its last requests`;
  return { for: "handover", text, since, revision };
}

/** Whether an instance is not ready yet, and something waits for it. */
export function isWaitedFor(instance: WaitedFor): boolean {
  return isStarting(instance) || isWaking(instance);
}

function isStarting({ state }: WaitedFor): boolean {
  return state === "starting";
}

function isWaking({ state, waking }: WaitedFor): boolean {
  return isAsleep(state) && waking !== undefined;
}

function waitingForInstance(one: WaitedFor, since: number, exposed: readonly number[]): Waiting {
  const { id: instance, origin, probed, revision: { name: revision } } = one;
  if (isWaking(one)) {
    const text = one.waking?.how === "hibernated"
      ? `the memory of ${revision} is being read from the swap`
      : `${revision} is being resumed`;
    return { for: "resume", text, since, revision, instance };
  }
  if (origin === "") {
    return { for: "container", text: `making the container of ${revision}`, since, revision, instance };
  }
  return {
    for: "answer",
    text: answerText(one) + exposedText(one, exposed),
    since,
    revision,
    instance,
    ...defined({ probed }),
  };
}

function pullText(image: string, { done, total }: { readonly done: number; readonly total: number }): string {
  return total > 0 ? `pulling ${image}: ${done} of ${total} layers` : `pulling ${image}`;
}

function answerText({ probed = "silent", revision: { port, readinessPath } }: WaitedFor): string {
  switch (probed) {
    case "refused":
      return `nothing listens on port ${port} yet`;
    case "closed":
      return `port ${port} closes connections without an answer`;
    case "garbage":
      return `what answers on port ${port} is not HTTP`;
    case "silent":
    case "unsure":
      return `no answer on port ${port} yet`;
    default:
      return `GET ${readinessPath} on port ${port} gives ${probed}`;
  }
}

/** Says which other ports the image exposes if the app does not serve at the port that it is expected at. */
function exposedText({ probed, revision: { port } }: WaitedFor, exposed: readonly number[]): string {
  const isElsewhere = (probed === "refused" || probed === "closed") && exposed.length > 0 && !exposed.includes(port);
  return isElsewhere ? `; the image exposes ${exposed.join(", ")}` : "";
}
