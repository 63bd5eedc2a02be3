import { checkAnswer } from "../support/app.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import type { ClessUnderTest } from "../support/cless_under_test.ts";
import { envOf } from "./declared.ts";
import { type Pair, type Side, sidesOf } from "./pair.ts";

/** How long the containers of an old revision may take to go, ms. */
const PATIENCE_MS = 20_000;

/** How long deploys took with each, ms. */
export type DeployTimes = Readonly<Record<Side, number[]>>;

/** What is deployed, and how. */
export interface DeployOptions {
  /** A service that both have, of the app's image. */
  readonly name: string;
  readonly image: string;
  /** How often with each. */
  readonly count: number;
  /**
   * Whether a container of the new revision must be ready first; if so, a request is answered by it after each deploy. Else
   * the service must have no container, and gets none.
   */
  readonly wait: boolean;
}

/**
 * Deploys new revisions of a service by turns, through the admin API; each has to be published when the answer comes.
 *
 * @throws {BenchError} When one is refused, or not published.
 */
export async function deployTimes(pair: Pair, options: DeployOptions, signal: AbortSignal): Promise<DeployTimes> {
  const times: DeployTimes = { one: [], many: [] };
  // What comes first runs cold code, and is not counted.
  for (let n = -1; n < options.count; n++) {
    for (const side of sidesOf(n + 2)) {
      signal.throwIfAborted();
      const ms = await deploy(pair[side], n, options);
      if (n >= 0) times[side].push(ms);
    }
  }
  return times;
}

async function deploy(cless: ClessUnderTest, n: number, { image, name, wait }: DeployOptions): Promise<number> {
  const path = `/v1/services/${name}`;
  const before = await latestOf(cless, path);
  const json = { image, env: envOf(name, `hello ${wait} ${n}`) };
  const began = performance.now();
  const { body, status } = await cless.askAdmin(`${path}?wait=${wait}`, { method: "PUT", json });
  const ms = performance.now() - began;
  if (status !== 200) throw new BenchError(`a deploy is answered by ${status}: ${body}`);
  const { latestRevision } = JSON.parse(body);
  if (latestRevision === before || latestRevision !== await latestOf(cless, path)) {
    throw new BenchError(`${latestRevision} was deployed after ${before}, and is not published`);
  }
  if (wait) await checkServed(cless, name, latestRevision);
  return ms;
}

async function latestOf(cless: ClessUnderTest, path: string): Promise<string> {
  const { body, status } = await cless.askAdmin(path);
  if (status !== 200) throw new BenchError(`a service is shown with ${status}: ${body}`);
  return JSON.parse(body).latestRevision;
}

/** Checks that the next request is answered, and waits until the new revision has the only instance that is left. */
async function checkServed(cless: ClessUnderTest, name: string, revision: string): Promise<void> {
  using client = new HttpClient(0);
  checkAnswer(await client.ask(cless.url, { host: `${name}.localhost` }), revision);
  const end = performance.now() + PATIENCE_MS;
  while (true) {
    const instances = await cless.instances();
    const ready = instances.filter(({ state }) => state === "ready");
    if (ready.length !== 1 || ready[0]!.revision !== revision) {
      throw new BenchError(`after the deploy of ${revision} these are ready: ${ready.map(({ id }) => id).join(", ")}`);
    }
    if (instances.length === 1) return;
    if (performance.now() > end) throw new BenchError(`containers of the revisions before ${revision} do not go`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
