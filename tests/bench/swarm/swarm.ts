import { Cluster } from "../../swarm/cluster.ts";
import { Nodes } from "../../swarm/nodes.ts";
import type { NodeProgram } from "../../swarm/node_program.ts";
import { until } from "../../support/until.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { BenchError } from "../support/errors.ts";
import { COLD, type ColdPair, coldPairs } from "./cold.ts";
import { declareMany } from "./many.ts";
import { type Quiet, watchQuiet } from "./quiet.ts";
import { swarmFindings } from "./report.ts";
import { type RequestCosts, requestCosts, type Sender } from "./requests.ts";

/** `debug` would have a line for each request. */
const FLAGS = ["--log-level", "info", "--pause-after", "0", "--stop-after", "0"];
const SWARM = ["--engine", "swarm", ...FLAGS];

/** Everything that was measured. */
export interface SwarmFigures {
  /** With one manager, by it. */
  readonly one: readonly ColdPair[];
  /** With three managers, by their leader. */
  readonly leader: readonly ColdPair[];
  /** With three managers, by another one. */
  readonly follower: readonly ColdPair[];
  /** With few services. */
  readonly few: RequestCosts;
  /** With {@linkcode services} services. */
  readonly many: RequestCosts;
  readonly services: number;
  /** How long a service took to declare, ms. */
  readonly declareMs: number;
  /** Starts of a cless with all services, ms. */
  readonly startMs: readonly number[];
  /** Starts of a cless that has none, on a machine by itself, ms. */
  readonly plainStartMs: readonly number[];
  /** The nodes, with few services and with all. */
  readonly quiet: { readonly few: readonly Quiet[]; readonly many: readonly Quiet[] };
}

/** Starts, requests and services on a Swarm of three nodes. */
export async function swarm(bench: Bench): Promise<Outcome> {
  const { app, note, options: { idleSeconds, rounds, swarmServices: services } } = bench;
  if (Deno.uid() !== 0) throw new BenchError("nodes need root; run it with sudo, or leave swarm out with --only");
  note("starting three nodes, and one by itself");
  await using cluster = await Cluster.start({ images: [app.image], flags: FLAGS, heartbeat: "5s" });
  await using alone = await Nodes.start(1);
  const single = alone.node(1);
  await single.load(app.image);
  let plain = await single.startCless(FLAGS);
  await deploy(cluster.cless(1), COLD, { image: app.image });
  await deploy(cluster.cless(1), "own", { image: app.image, minInstances: 1, placement: { node: "node-1" } });
  await deploy(cluster.cless(1), "other", { image: app.image, minInstances: 1, placement: { node: "node-2" } });
  await deploy(plain, "own", { image: app.image, minInstances: 1 });
  const senders = async (): Promise<Sender[]> => {
    const [url, pid] = [`http://${cluster.node(1).address}/`, await cluster.cless(1).pid()];
    return [
      { way: "plain", url: `http://${single.address}/`, host: "own.localhost", pid: await plain.pid() },
      { way: "own", url, host: "own.localhost", pid },
      { way: "other", url, host: "other.localhost", pid },
    ];
  };

  note("one manager");
  const one = await coldPairs(cluster, 1, bench);
  const few = await requestCosts(await senders(), bench);
  note("three managers");
  for (const { hostname, number } of cluster.nodes.all.slice(1)) {
    await cluster.cless(number).end();
    await cluster.node(1).docker("node", "promote", hostname);
    await until(async () =>
      await cluster.node(number).docker("info", "--format", "{{.Swarm.ControlAvailable}}") === "true"
    );
    await cluster.restartCless(number, SWARM);
  }
  const leader = await coldPairs(cluster, 1, bench);
  const follower = await coldPairs(cluster, 2, bench);
  const quietFew = await watchQuiet(cluster, idleSeconds);

  note(`declaring ${services} services`);
  const declareMs = await declareMany(cluster, { by: 2, count: services, seenBy: 1 }, bench);
  const quietMany = await watchQuiet(cluster, idleSeconds);
  const many = await requestCosts(await senders(), bench);
  const [startMs, plainStartMs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    await cluster.cless(3).end();
    startMs.push(await timed(() => cluster.restartCless(3, SWARM)));
    await plain.end();
    plainStartMs.push(await timed(async () => void (plain = await single.startCless(FLAGS))));
    note(`start ${round + 1} of ${rounds}: ${startMs.at(-1)!.toFixed(0)} ms`);
  }
  const quiet = { few: quietFew, many: quietMany };
  return {
    findings: swarmFindings({ one, leader, follower, few, many, services, declareMs, startMs, plainStartMs, quiet }),
  };
}

async function deploy(cless: NodeProgram, name: string, template: object): Promise<void> {
  const { status, text } = await cless.send("PUT", `/v1/services/${name}`, template);
  if (status !== 201) throw new BenchError(`cannot deploy ${name}: status ${status}, ${text}`);
}

/** How long something takes, ms. */
async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
