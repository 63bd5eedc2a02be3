import { LABEL } from "../../../src/docker/container_spec.ts";
import { SocketClient } from "../../../src/docker/socket_client.ts";
import { SwarmCalls } from "../../../src/docker/swarm/swarm_calls.ts";
import type { Cluster } from "../../swarm/cluster.ts";
import type { Bench } from "../scenario.ts";
import { checkAnswer } from "../support/app.ts";
import { settle } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import { BareTask } from "./bare_task.ts";

/** The service that is started again and again. */
export const COLD = "cold";
/** Containers that Swarm has not ended after this time it never will. */
const PATIENCE_MS = 30_000;

/** The same start in two ways, ms. */
export interface ColdPair {
  /** From a request to its answer. */
  readonly cless: number;
  /** From an update by the API to the first answer. */
  readonly bare: number;
}

/**
 * Starts the app again and again, through cless and by Swarm's API alone, by turns.
 *
 * @param by The number of the node whose cless and manager are asked.
 * @throws {BenchError} When there was a wrong answer.
 */
export async function coldPairs(
  cluster: Cluster,
  by: number,
  { app, note, options: { swarmStarts: count }, signal }: Bench,
): Promise<ColdPair[]> {
  const node = cluster.node(by);
  using client = new HttpClient(0); // a connection that was kept may lead to an instance that has ended
  using bare = await BareTask.create(cluster.nodes, node, app, `bare-${by}-${crypto.randomUUID().slice(0, 8)}`);
  using socket = new SocketClient(node.engineSocket);
  const swarm = new SwarmCalls(socket);
  const owner = (await Deno.readTextFile(`${node.dataDir}/owner`)).trim();
  const throughCless = async () => {
    await makeCold(cluster, by, swarm, owner);
    const began = performance.now();
    const answer = await client.ask(`http://${node.address}/`, { host: `${COLD}.localhost` });
    const tookMs = performance.now() - began;
    checkAnswer(answer, "cless");
    await makeCold(cluster, by, swarm, owner);
    return tookMs;
  };
  const byItself = async () => {
    const tookMs = await bare.start(signal);
    await bare.stop();
    await settle();
    return tookMs;
  };
  const pairs: ColdPair[] = [];
  // What comes first runs cold code in both, and is not counted.
  for (let n = 0; n <= count; n++) {
    signal.throwIfAborted();
    const first = n % 2 === 0 ? await throughCless() : undefined;
    const bareMs = await byItself();
    const pair = { cless: first ?? await throughCless(), bare: bareMs };
    if (n === 0) continue;
    pairs.push(pair);
    note(`start ${n} of ${count}: cless ${pair.cless.toFixed(0)} ms, bare ${pair.bare.toFixed(0)} ms`);
  }
  return pairs;
}

/** Puts the service to sleep, and waits until Swarm has ended what was there. */
async function makeCold(cluster: Cluster, by: number, swarm: SwarmCalls, owner: string): Promise<void> {
  await settle(); // all cless know the instance then
  const { status, text } = await cluster.cless(by).send("POST", `/v1/services/${COLD}/sleep`);
  if (status !== 204) throw new BenchError(`cannot put ${COLD} to sleep: status ${status}, ${text}`);
  const isCold = ({ labels }: { readonly labels: Readonly<Record<string, string>> }) => labels[LABEL.service] === COLD;
  const end = performance.now() + PATIENCE_MS;
  while ([...await swarm.tasks({ owner }), ...await swarm.leaving(owner)].some(isCold)) {
    if (performance.now() > end) throw new BenchError(`${COLD} still runs ${PATIENCE_MS / 1000} s after its end`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await settle();
}
