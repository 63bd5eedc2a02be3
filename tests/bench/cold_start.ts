import type { DockerCommand } from "../../src/docker/command.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { runArgs } from "../../src/docker/run_args.ts";
import type { Revision } from "../../src/domain/revision.ts";
import { APP_HOST, checkAnswer } from "./app.ts";
import { type ClessUnderTest, removeContainers, settle } from "./cless_under_test.ts";
import { HttpClient, untilAnswer } from "./http_client.ts";

/** The same start in two ways, ms from the beginning to the whole answer. */
export interface ColdStart {
  /** A request to a service without a container. */
  readonly cless: number;
  /** `docker run -d` with the same flags, and then requests until there is an answer. */
  readonly bare: number;
}

/** Starts the app's container without cless, as cless does it. */
export class BareStarter implements AsyncDisposable {
  readonly #docker: DockerCommand;
  readonly #network: OwnNetwork;
  readonly #owner: string;
  readonly #app: Revision;
  #count = 0;

  /** @param folder Noted on its network, as cless notes its data-dir. */
  constructor(docker: DockerCommand, app: Revision, folder: string) {
    this.#docker = docker;
    this.#owner = crypto.randomUUID().slice(0, 8);
    this.#network = new OwnNetwork(docker, { owner: this.#owner, path: folder });
    this.#app = app;
  }

  /** Starts one, and removes it again. */
  async start(signal: AbortSignal): Promise<number> {
    await this.#network.ensure();
    const address = this.#network.take();
    const origin = `http://${address}:${this.#app.port}`;
    const args = runArgs(this.#app, {
      id: `cless-bench-${this.#owner}-${++this.#count}`,
      owner: this.#owner,
      network: this.#network.name,
      address,
      hostPort: undefined,
      origin,
    });
    const began = performance.now();
    await this.#docker.run(args);
    const answer = await untilAnswer(`${origin}/`, () => true, () => signal.throwIfAborted());
    const ms = performance.now() - began;
    checkAnswer(answer, "the container itself");
    await removeContainers(this.#docker, this.#owner);
    await settle();
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeContainers(this.#docker, this.#owner);
    await this.#network.remove();
  }
}

/**
 * Starts the app again and again, in both ways by turns.
 *
 * @throws {BenchError} When there was a wrong answer.
 */
export async function coldStarts(
  cless: ClessUnderTest,
  bare: BareStarter,
  { count, note }: { count: number; note: (line: string) => void },
  signal: AbortSignal,
): Promise<ColdStart[]> {
  using client = new HttpClient();
  const throughCless = async () => {
    await cless.makeCold();
    const began = performance.now();
    const answer = await client.ask(cless.url, { host: APP_HOST });
    const ms = performance.now() - began;
    checkAnswer(answer, "cless");
    await cless.makeCold();
    return ms;
  };
  const starts: ColdStart[] = [];
  // What comes first runs cold code in both, and is not counted.
  for (let n = 0; n <= count; n++) {
    signal.throwIfAborted();
    const first = n % 2 === 0 ? await throughCless() : undefined;
    const bareMs = await bare.start(signal);
    const start = { cless: first ?? await throughCless(), bare: bareMs };
    if (n === 0) continue;
    starts.push(start);
    note(`start ${n} of ${count}: cless ${start.cless.toFixed(0)} ms, bare ${start.bare.toFixed(0)} ms`);
  }
  return starts;
}
