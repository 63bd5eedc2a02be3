import type { DockerCommand } from "../../../src/docker/command.ts";
import { OwnNetwork } from "../../../src/docker/network/network.ts";
import { runArgs } from "../../../src/docker/run_args.ts";
import type { Revision } from "../../../src/domain/revision.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest, removeContainers, settle } from "../support/cless_under_test.ts";
import { HttpClient, untilAnswer } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";

const BAR_MS = 10;

/** The same start in two ways, ms from the beginning to the whole answer. */
interface ColdStart {
  /** A request to a service without a container. */
  readonly cless: number;
  /** `docker run -d` with the same flags, and then requests until there is an answer. */
  readonly bare: number;
}

/** Starts the app's container without cless, as cless does it. */
class BareStarter implements AsyncDisposable {
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
async function coldStarts(
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

/** What {@linkcode coldStarts} tells. */
function coldFindings(starts: readonly ColdStart[]): Finding[] {
  const summary = (what: string, ms: number[]) => ({
    what,
    value: `${median(ms).toFixed(0)} ms`,
    spread: spread(ms, 0),
  });
  const added = starts.map(({ cless, bare }) => cless - bare);
  return [
    summary("cold start through cless", starts.map(({ cless }) => cless)),
    summary("cold start, bare docker run -d and first answer", starts.map(({ bare }) => bare)),
    {
      ...summary(`cold start, what cless adds (${starts.length} pairs)`, added),
      bar: `≤ ${BAR_MS} ms`,
      met: median(added) <= BAR_MS,
    },
  ];
}

/** Cold starts through cless, each beside a bare one. */
export async function coldStart({ app, docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  await using bare = new BareStarter(docker, app, folder);
  const starts = await coldStarts(cless, bare, { count: options.coldStarts, note }, signal);
  return { findings: coldFindings(starts) };
}
