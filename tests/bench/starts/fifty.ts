import { messageOf } from "../../../src/base/errors.ts";
import { checkAnswer } from "../support/app.ts";
import { ClessUnderTest, countStarted } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { BareStarter } from "./bare_starter.ts";

const RATIO_BAR = 1.1;
/** How often each bare app is asked: more often, and the asking would be a good part of the machine's work. */
const PROBE_EVERY_MS = 5;
const PATIENCE_MS = 60_000;

/** Many services from nothing at once, in two ways. */
interface Round {
  /** Until the last of them has answered, ms. */
  readonly clessMs: number;
  readonly bareMs: number;
  readonly failures: readonly string[];
  /** How many containers run when the last has answered. */
  readonly containers: number;
}

/** Sends one request to each of some services without a container. */
async function throughCless(
  cless: ClessUnderTest,
  names: readonly string[],
  { docker, signal }: Bench,
): Promise<{ ms: number; failures: string[]; containers: number }> {
  using client = new HttpClient(names.length);
  const failures: string[] = [];
  const began = performance.now();
  await Promise.all(names.map(async (name) => {
    try {
      const end = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
      checkAnswer(await client.ask(cless.url, { host: `${name}.localhost`, signal: end }), "cless");
    } catch (error) {
      failures.push(messageOf(error));
    }
  }));
  const ms = performance.now() - began;
  signal.throwIfAborted();
  const containers = await countStarted(docker, cless.owner);
  await cless.makeCold();
  return { ms, failures, containers };
}

/** Starts as many containers at once, as cless does: each by a docker command that waits for no other. */
async function bareAtOnce(bare: BareStarter, count: number, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  await Promise.all(Array.from({ length: count }, () => bare.start(PROBE_EVERY_MS, signal)));
  const ms = performance.now() - began;
  await bare.check();
  await bare.remove();
  return ms;
}

/** What the rounds tell. */
function fiftyFindings(count: number, rounds: readonly Round[]): Finding[] {
  const of = `${count} services from zero at once`;
  const failures = rounds.map((round) => round.failures.length);
  const failure = rounds.flatMap((round) => round.failures)[0];
  const containers = rounds.map((round) => round.containers);
  const seconds = (what: string, ms: readonly number[]) => ({
    what: `${of}: ${what}`,
    value: `${(median(ms) / 1000).toFixed(2)} s`,
    spread: spread(ms.map((ms) => ms / 1000), 2),
  });
  const ratios = rounds.map(({ clessMs, bareMs }) => clessMs / bareMs);
  return [
    {
      what: `${of}: failures${failure === undefined ? "" : ` (${failure})`}`,
      value: `${median(failures)}`,
      spread: spread(failures, 0),
      bar: "0",
      met: failures.every((count) => count === 0),
      correctness: true,
    },
    {
      what: `${of}: containers`,
      value: `${median(containers)}`,
      spread: spread(containers, 0),
      bar: `${count}`,
      met: containers.every((number) => number === count),
      correctness: true,
    },
    seconds("last answer through cless", rounds.map(({ clessMs }) => clessMs)),
    seconds("last answer, bare docker run -d", rounds.map(({ bareMs }) => bareMs)),
    {
      what: `${of}: last answer, cless ÷ bare (${rounds.length} rounds)`,
      value: median(ratios).toFixed(2),
      spread: spread(ratios, 2),
      bar: `≤ ${RATIO_BAR}`,
      met: median(ratios) <= RATIO_BAR,
    },
  ];
}

/** Many services from nothing at once, beside as many bare containers. */
export async function fifty(bench: Bench): Promise<Outcome> {
  const { app, docker, folder, note, options: { rounds: count, services }, signal } = bench;
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  await using bare = new BareStarter(docker, app, folder);
  await bare.prepare();
  const names = Array.from({ length: services }, (_, number) => `app-${number + 1}`);
  const template = { image: app.image, pauseAfter: "0", stopAfter: "0", startTimeout: `${PATIENCE_MS / 1000}s` };
  for (const name of names) await cless.declare(name, template);
  const rounds: Round[] = [];
  while (rounds.length < count) {
    signal.throwIfAborted();
    const clessFirst = rounds.length % 2 === 0;
    const first = clessFirst ? await throughCless(cless, names, bench) : undefined;
    const bareMs = await bareAtOnce(bare, services, signal);
    const { ms: clessMs, failures, containers } = first ?? await throughCless(cless, names, bench);
    rounds.push({ clessMs, bareMs, failures, containers });
    note(`round ${rounds.length} of ${count}: cless ${clessMs.toFixed(0)} ms, bare ${bareMs.toFixed(0)} ms`);
  }
  return { findings: fiftyFindings(services, rounds) };
}
