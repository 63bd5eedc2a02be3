import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/run_args.ts";
import { messageOf } from "../../../src/errors.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";

const BAR_MS = 1000;

/** How many requests come at once. */
const HERD_SIZE = 1000;

/** What became of a herd. */
interface Herd {
  /** How many containers were started for it. */
  readonly containers: number;
  readonly failures: number;
  /** What was wrong with the first that failed. */
  readonly failure: string | undefined;
  /** From the first request to the first answer, ms. */
  readonly firstMs: number;
  /** From the first answer to the last, ms. */
  readonly spreadMs: number;
}

/** Sends many requests at once to a service without a container. */
async function herdOnce(cless: ClessUnderTest, docker: DockerCommand): Promise<Herd> {
  await cless.makeCold();
  using client = new HttpClient(HERD_SIZE);
  const answeredAt: number[] = [];
  const failures: string[] = [];
  const since = now();
  const began = performance.now();
  await Promise.all(Array.from({ length: HERD_SIZE }, async () => {
    try {
      const answer = await client.ask(cless.url, { host: APP_HOST, signal: AbortSignal.timeout(60_000) });
      answeredAt.push(performance.now());
      checkAnswer(answer, "cless");
    } catch (error) {
      failures.push(messageOf(error));
    }
  }));
  const started = await docker.run([
    "events",
    `--since=${since}`,
    `--until=${now()}`,
    "--filter=type=container",
    "--filter=event=start",
    `--filter=label=${LABEL.owner}=${cless.owner}`,
    "--format={{.Actor.ID}}",
  ]);
  const first = answeredAt[0] ?? NaN;
  return {
    containers: started.match(/^[0-9a-f]{64}$/gm)?.length ?? 0,
    failures: failures.length,
    failure: failures[0],
    firstMs: first - began,
    spreadMs: (answeredAt.at(-1) ?? NaN) - first,
  };
}

/** The time as the engine's events take it, s. */
function now(): string {
  return (Date.now() / 1000).toFixed(3);
}

/** What {@linkcode herd} tells; of several, the worst. */
function herdFindings(herds: readonly Herd[]): Finding[] {
  const of = `herd of ${HERD_SIZE} (${herds.length} times)`;
  const containers = herds.map((herd) => herd.containers);
  const failures = herds.map((herd) => herd.failures);
  const firstMs = herds.map((herd) => herd.firstMs);
  const spreadMs = herds.map((herd) => herd.spreadMs);
  const failure = herds.find((herd) => herd.failure !== undefined)?.failure;
  return [
    {
      what: `${of}: containers started`,
      value: `${Math.max(...containers)}`,
      spread: spread(containers, 0),
      bar: "1",
      met: containers.every((count) => count === 1),
      correctness: true,
    },
    {
      what: `${of}: failures${failure === undefined ? "" : ` (${failure})`}`,
      value: `${Math.max(...failures)}`,
      spread: spread(failures, 0),
      bar: "0",
      met: failures.every((count) => count === 0),
      correctness: true,
    },
    { what: `${of}: first answer`, value: `${median(firstMs).toFixed(0)} ms`, spread: spread(firstMs, 0) },
    {
      what: `${of}: from first to last answer`,
      value: `${median(spreadMs).toFixed(0)} ms`,
      spread: spread(spreadMs, 0),
      bar: `≤ ${BAR_MS} ms`,
      met: spreadMs.every((ms) => ms <= BAR_MS),
    },
  ];
}

/** Many requests at once to a service without a ready instance. */
export async function herd({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  const herds: Herd[] = [];
  while (herds.length < options.herds) {
    signal.throwIfAborted();
    note(`${herds.length + 1} of ${options.herds}`);
    herds.push(await herdOnce(cless, docker));
  }
  return { findings: herdFindings(herds) };
}
