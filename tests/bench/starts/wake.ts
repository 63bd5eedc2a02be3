import { SocketApi } from "../../../src/docker/socket_api.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, percentile, spread } from "../support/statistics.ts";
import { BareStarter } from "./bare_starter.ts";
import { untilState } from "./paused.ts";

/** Where cless freezes containers itself, as root, and where the engine does it. */
const BARS = Deno.uid() === 0 ? { p50Ms: 2, p99Ms: 6, ratio: 0.2 } : { p50Ms: 20, p99Ms: 60, ratio: 1.2 };
/** cless pauses the instance after this time without a request. */
const PAUSE_AFTER_MS = 50;
/** A pause of the sender, in which nothing else happens on the machine. */
const QUIET_MS = 20;

/** The same wake in two ways, ms from the beginning to the whole answer. */
interface Wake {
  /** A request to a service whose instance is paused. */
  readonly cless: number;
  /** The engine is told by its socket to let a container of its own go on, and then the app is asked. */
  readonly bare: number;
}

/**
 * Pauses and wakes two containers of the same image again and again, by turns.
 *
 * @throws {BenchError} When there was a wrong answer.
 * @throws {EngineError} When the engine has no socket here.
 */
async function wakes(
  cless: ClessUnderTest,
  starter: BareStarter,
  { count, note }: { count: number; note: (line: string) => void },
  signal: AbortSignal,
): Promise<Wake[]> {
  using client = new HttpClient();
  using engine = new SocketApi("/var/run/docker.sock");
  checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  await starter.prepare();
  await starter.start(1, signal);
  const { address, id } = starter.started[0]!;
  const asleep = async () => {
    await untilState(cless, "paused");
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  };
  const throughCless = async () => {
    await asleep();
    const began = performance.now();
    const answer = await client.ask(cless.url, { host: APP_HOST });
    const ms = performance.now() - began;
    checkAnswer(answer, "cless");
    return ms;
  };
  const bare = async () => {
    await engine.pause(id);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const began = performance.now();
    await engine.unpause(id);
    const answer = await client.ask(`http://${address}/`);
    const ms = performance.now() - began;
    checkAnswer(answer, "the container itself");
    return ms;
  };
  const all: Wake[] = [];
  // What comes first runs cold code in both, and is not counted.
  for (let n = 0; n <= count; n++) {
    signal.throwIfAborted();
    const first = n % 2 === 0 ? await throughCless() : undefined;
    const bareMs = await bare();
    const wake = { cless: first ?? await throughCless(), bare: bareMs };
    if (n > 0) all.push(wake);
    if (n > 0 && n % 50 === 0) note(`${n} of ${count}`);
  }
  return all;
}

/** What {@linkcode wakes} tells. */
function wakeFindings(wakes: readonly Wake[]): Finding[] {
  const summary = (what: string, all: number[]) => ({
    what,
    value: `${median(all).toFixed(1)} ms, p99 ${percentile(all, 0.99).toFixed(1)} ms`,
    spread: spread(all, 1),
  });
  const through = wakes.map(({ cless }) => cless);
  const bare = wakes.map(({ bare }) => bare);
  const ratio = median(through) / median(bare);
  return [
    {
      ...summary(`wake from pause through cless (${wakes.length} times)`, through),
      bar: `≤ ${BARS.p50Ms} ms, p99 ≤ ${BARS.p99Ms} ms`,
      met: median(through) <= BARS.p50Ms && percentile(through, 0.99) <= BARS.p99Ms,
    },
    summary("wake from pause, bare unpause by the socket and first answer", bare),
    {
      what: "wake from pause, cless ÷ bare",
      value: ratio.toFixed(2),
      bar: `≤ ${BARS.ratio}`,
      met: ratio <= BARS.ratio,
    },
  ];
}

/** Wakes from pause through cless, each beside a bare one. */
export async function wake({ app, docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal, {
    flags: ["--pause-after", `${PAUSE_AFTER_MS}ms`],
  });
  await using bare = new BareStarter(docker, app, folder);
  return { findings: wakeFindings(await wakes(cless, bare, { count: options.wakes, note }, signal)) };
}
