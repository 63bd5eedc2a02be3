import { BenchError } from "../../bench/support/errors.ts";
import type { Random } from "../../support/random.ts";
import { pause } from "../engine.ts";
import { appOf, leaveOut, someCless, type SwarmStage, takeBack, untilSo, untilWell } from "./stage.ts";

/** How long a node is away, ms: Swarm misses it after three heartbeats of 1 s. */
const AWAY_MS = 8000;
/** How long a change may take while the managers elect a leader. */
const CHANGED_MS = 60_000;

/** Something that happens to the nodes, or is done by one of them. */
export interface SwarmEvent {
  readonly name: string;
  /** Does it, and resolves when all nodes are well. */
  readonly run: (stage: SwarmStage) => Promise<void>;
}

/** What somebody does on purpose. */
const CHANGES: readonly SwarmEvent[] = [
  { name: "deploy", run: deploy },
  { name: "split", run: split },
  { name: "rollback", run: rollback },
  { name: "sleep", run: sleep },
];

const KILLED: SwarmEvent = { name: "cless-killed", run: killCless };

/** What befalls nodes and processes. */
const FAULTS: readonly SwarmEvent[] = [
  { name: "node-killed", run: async (stage) => await killNode(stage, await follower(stage)) },
  { name: "leader-killed", run: async (stage) => await killNode(stage, await leader(stage)) },
  { name: "partition", run: partition },
  KILLED,
  { name: "engine-restarted", run: restartEngine },
];

/** Each of them once, in any order, and some more. @param quick Only those that take no time. */
export function sequence(random: Random, quick: boolean): SwarmEvent[] {
  const all = quick ? [KILLED, ...CHANGES] : [...FAULTS, ...CHANGES];
  const rest = [...all, ...Array.from({ length: quick ? 1 : 5 }, () => random.pick(all))];
  return Array.from({ length: rest.length }, () => rest.splice(random.below(rest.length), 1)[0]!);
}

/** Asks one of the cless that live for a change, until the managers have a leader. @throws {BenchError} When refused. */
async function ask(stage: SwarmStage, method: string, path: string, body?: unknown): Promise<void> {
  let last = "";
  for (const end = performance.now() + CHANGED_MS; performance.now() < end; await pause(200)) {
    stage.signal.throwIfAborted();
    const { json, status, text } = await someCless(stage).send(method, `/v1/services/${path}`, body);
    if (status < 300) return;
    last = `${method} ${path}: status ${status}, ${text}`;
    if (json?.code !== "store_unavailable") break;
  }
  throw new BenchError(last);
}

async function deploy(stage: SwarmStage): Promise<void> {
  const greeting = `deploy-${stage.random.text(8, "abcdefghijklmnopqrstuvwxyz")}`;
  await ask(stage, "PUT", "app", appOf(greeting, { traffic: 100 }));
  for (const number of stage.probes.live) {
    await untilSo(stage, `${greeting} answers by node ${number}`, async () => {
      return (await stage.cluster.cless(number).get("app", "/token")).text === `${greeting} token`;
    });
  }
}

async function split(stage: SwarmStage): Promise<void> {
  const revisions: { name: string }[] = await someCless(stage).api("/v1/services/app/revisions");
  const [newest, older] = revisions.map(({ name }) => name).sort().reverse();
  const percent = older === undefined ? 100 : stage.random.between(10, 90);
  const rest = older === undefined ? [] : [{ revision: older, percent: 100 - percent }];
  await ask(stage, "PUT", "app/traffic", [{ revision: newest, percent }, ...rest]);
}

async function rollback(stage: SwarmStage): Promise<void> {
  await ask(stage, "POST", "app/rollback");
}

async function sleep(stage: SwarmStage): Promise<void> {
  await ask(stage, "POST", `${stage.random.pick(stage.probes.services)}/sleep`);
}

async function killNode(stage: SwarmStage, number: number): Promise<void> {
  const { cluster, probes, requests } = stage;
  const { flags } = cluster.cless(number);
  stage.note(`node ${number} is killed`);
  await leaveOut(stage, number);
  const done = requests.ofInstances.harming();
  probes.away.add(number);
  await cluster.node(number).kill();
  await whileAway(stage);
  done();
  await cluster.node(number).restart();
  probes.away.delete(number);
  await cluster.restartCless(number, flags);
  await takeBack(stage, number);
}

async function partition(stage: SwarmStage): Promise<void> {
  const { cluster, probes, random, requests } = stage;
  const number = random.pick([...probes.live]);
  stage.note(`node ${number} is cut off`);
  await leaveOut(stage, number);
  const done = requests.ofInstances.harming();
  probes.away.add(number);
  await cluster.node(number).partition();
  await whileAway(stage);
  await cluster.node(number).heal();
  // A manager that was cut off wants to be their leader, so that they may have none for a while, and it runs no tasks.
  await takeBack(stage, number);
  probes.away.delete(number);
  done();
}

/** Waits while a node is away, and changes something meanwhile. */
async function whileAway(stage: SwarmStage): Promise<void> {
  const { name, run } = stage.random.pick(CHANGES);
  const change = async () => {
    await pause(stage.random.below(AWAY_MS));
    stage.note(`meanwhile: ${name}`);
    await run(stage);
  };
  await Promise.all([change(), pause(AWAY_MS)]);
}

async function killCless(stage: SwarmStage): Promise<void> {
  const { cluster, probes, random, requests } = stage;
  const number = random.pick([...probes.live]);
  const { flags } = cluster.cless(number);
  stage.note(`cless on node ${number} is killed`);
  probes.leaveOut(number);
  const done = requests.ofCless.harming(`${number}`);
  await cluster.cless(number).end("SIGKILL");
  await pause(random.below(4000));
  await cluster.restartCless(number, flags);
  done();
  await untilWell(stage, number);
  probes.takeBack(number);
}

async function restartEngine(stage: SwarmStage): Promise<void> {
  const { cluster, probes, random, requests } = stage;
  const number = random.pick([...probes.live]);
  stage.note(`the engine of node ${number} is restarted`);
  // Without its engine, the cless there learns of nothing: it holds requests that need another instance.
  probes.leaveOut(number);
  const done = requests.ofInstances.harming();
  await cluster.node(number).restartEngine();
  await untilWell(stage, number);
  done();
  probes.takeBack(number);
}

/** The number of the node that leads the managers. */
async function leader(stage: SwarmStage): Promise<number> {
  const { cluster, probes: { live: [asked] } } = stage;
  let found: number | undefined;
  await untilSo(stage, "the managers have a leader", async () => {
    const lines = await cluster.node(asked!).docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}");
    const name = /^(\S+) Leader$/m.exec(lines)?.[1];
    found = cluster.nodes.all.find(({ hostname }) => hostname === name)?.number;
    return found !== undefined;
  });
  return found!;
}

/** The number of a node that does not. */
async function follower(stage: SwarmStage): Promise<number> {
  const leading = await leader(stage);
  return stage.random.pick([...stage.probes.live].filter((number) => number !== leading));
}
