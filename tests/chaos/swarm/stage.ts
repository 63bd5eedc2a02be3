import { messageOf } from "../../../src/base/errors.ts";
import { BenchError } from "../../bench/support/errors.ts";
import type { Finding } from "../../bench/support/finding.ts";
import type { Random } from "../../support/random.ts";
import type { Cluster } from "../../swarm/cluster.ts";
import type { NodeProgram } from "../../swarm/node_program.ts";
import { pause } from "../engine.ts";
import { IMAGE } from "../stage.ts";
import type { Probes } from "./probes.ts";
import type { Requests } from "./requests.ts";

/** How long something may take that ought to happen soon, ms. */
const PATIENCE_MS = 90_000;
/** How long Swarm may take to hear from a node again: it once took 98 s. */
const SWARM_MS = 180_000;

/** Three nodes with a cless on each, which are harmed while requests come. */
export interface SwarmStage {
  readonly cluster: Cluster;
  readonly requests: Requests;
  readonly probes: Probes;
  readonly random: Random;
  readonly findings: Finding[];
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** The template of a service whose app says that word. */
export function templateOf(greeting: string, more: object = {}): object {
  return { image: IMAGE, env: { GREETING: greeting }, ...more };
}

/** The same of the service that is deployed again and again. */
export function appOf(greeting: string, more: object = {}): object {
  return templateOf(greeting, { minInstances: 2, maxInstances: 3, ...more });
}

/** One of the cless that live. */
export function someCless({ cluster, probes, random }: SwarmStage): NodeProgram {
  return cluster.cless(random.pick([...probes.live]));
}

/** Sends a node nothing more; resolves when everything that it was sent has been answered. */
export async function leaveOut({ probes, requests }: SwarmStage, number: number): Promise<void> {
  probes.leaveOut(number);
  await requests.end(number);
}

/** Sends a node requests again, once it is well. */
export async function takeBack(stage: SwarmStage, number: number): Promise<void> {
  await untilWell(stage, number);
  stage.probes.takeBack(number);
  stage.requests.begin(number);
}

/**
 * Waits until something is so. @param isSo Returns `true` if it is so, and may return what it saw instead. @throws
 * {BenchError} When it does not become so: with what was seen last.
 */
export async function untilSo(
  { signal }: Pick<SwarmStage, "signal">,
  what: string,
  isSo: () => Promise<boolean | string>,
  withinMs = PATIENCE_MS,
): Promise<void> {
  let seen: boolean | string = false;
  for (const end = performance.now() + withinMs; performance.now() < end; await pause(50)) {
    signal.throwIfAborted();
    seen = await isSo().catch(messageOf);
    if (seen === true) return;
  }
  throw new BenchError(`${what}: not within ${withinMs / 1000} s${seen === false ? "" : `, but ${seen}`}`);
}

/** Waits until Swarm hears from all nodes, each cless knows all others, and all services answer by some of them. */
export async function untilWell(stage: SwarmStage, ...numbers: readonly number[]): Promise<void> {
  const { cluster, probes } = stage;
  const count = cluster.nodes.all.length;
  for (const number of new Set([...probes.live, ...numbers])) {
    const program = cluster.cless(number);
    await untilSo(stage, `node ${number} knows all others`, async () => {
      const nodes: { name: string; state: string; cless?: unknown }[] = await program.api("/v1/nodes");
      const known = nodes.filter(({ cless, state }) => state === "ready" && cless !== undefined);
      return known.length === count || JSON.stringify(nodes);
    }, SWARM_MS);
    await untilSo(stage, `node ${number} has a quorum`, async () => {
      const lines = await cluster.node(number).docker("node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}");
      const ready = lines.split("\n").filter((line) => /^Ready (Leader|Reachable)$/.test(line));
      return ready.length === count || lines;
    }, SWARM_MS);
    for (const service of probes.services) {
      await untilSo(stage, `${service} answers by node ${number}`, async () => {
        const { status, text } = await program.get(service, "/token");
        return status === 200 || `status ${status}, ${text}`;
      });
    }
  }
}
