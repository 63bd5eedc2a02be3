import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/run_args.ts";
import { checkAnswer } from "../support/app.ts";
import { ClessUnderTest, settle } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { BareStarter } from "./bare_starter.ts";

/** How often a bare app is asked, ms. */
const PROBE_EVERY_MS = 1;
const PATIENCE_MS = 30_000;

/** How many containers each service has in advance, by its name. */
const SERVICES = { warm: 1, plain: 0 } as const;

/** The same start in three ways, ms from the beginning to the whole answer. */
interface Starts {
  /** A request to a service that has a container made in advance. */
  readonly warm: number;
  /** A request to the same service without one. */
  readonly plain: number;
  /** `docker run -d` with the same flags, and then requests until there is an answer. */
  readonly bare: number;
}

/** Takes a service's instance away, and waits until cless knows, and has in advance what it should have. */
async function makeCold(cless: ClessUnderTest, docker: DockerCommand, service: keyof typeof SERVICES): Promise<void> {
  const running = async () => (await cless.instances()).filter((instance) => instance.service === service);
  for (const { id } of await running()) await docker.run(["rm", "--force", id]);
  const filters = [`--filter=label=${LABEL.owner}=${cless.owner}`, `--filter=label=${LABEL.service}=${service}`];
  const isMade = async () =>
    /^[0-9a-f]{12,}$/m.test(await docker.run(["ps", "--all", "--quiet", "--filter=status=created", ...filters]));
  const end = performance.now() + PATIENCE_MS;
  while ((await running()).length > 0 || await isMade() !== SERVICES[service] > 0) {
    if (performance.now() > end) throw new BenchError(`${service} does not get cold`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await settle();
}

/** Starts the app again and again, in each way by turns. @throws {BenchError} When there was a wrong answer. */
async function measure(
  cless: ClessUnderTest,
  bare: BareStarter,
  { docker, note, options: { coldStarts: count }, signal }: Bench,
): Promise<Starts[]> {
  using client = new HttpClient();
  const through = (service: keyof typeof SERVICES) => async () => {
    await makeCold(cless, docker, service);
    const began = performance.now();
    const answer = await client.ask(cless.url, { host: `${service}.localhost` });
    const ms = performance.now() - began;
    checkAnswer(answer, `cless, ${service}`);
    await makeCold(cless, docker, service);
    return ms;
  };
  const ways: Record<keyof Starts, () => Promise<number>> = {
    warm: through("warm"),
    plain: through("plain"),
    bare: async () => {
      const began = performance.now();
      await bare.start(PROBE_EVERY_MS, signal);
      const ms = performance.now() - began;
      await bare.check();
      await bare.remove();
      return ms;
    },
  };
  const names = Object.keys(ways) as (keyof Starts)[];
  const all: Starts[] = [];
  // What comes first runs cold code in all of them, and is not counted.
  for (let n = 0; n <= count; n++) {
    signal.throwIfAborted();
    const starts = { warm: NaN, plain: NaN, bare: NaN };
    const turned = [...names.slice(n % names.length), ...names.slice(0, n % names.length)];
    for (const name of n % 2 === 0 ? turned : turned.reverse()) starts[name] = await ways[name]();
    if (n === 0) continue;
    all.push(starts);
    note(`${n} of ${count}: ${names.map((name) => `${name} ${starts[name].toFixed(0)} ms`).join(", ")}`);
  }
  return all;
}

/** What {@linkcode measure} tells. */
function findingsOf(starts: readonly Starts[]): Finding[] {
  const summary = (what: string, ms: number[]) => ({
    what,
    value: `${median(ms).toFixed(1)} ms`,
    spread: spread(ms, 1),
  });
  return [
    summary("cold start with warmPool 1", starts.map(({ warm }) => warm)),
    summary("cold start without, same service", starts.map(({ plain }) => plain)),
    summary("cold start, bare docker run -d beside them", starts.map(({ bare }) => bare)),
    summary(`what warmPool saves (${starts.length} pairs)`, starts.map(({ plain, warm }) => plain - warm)),
    summary("what cless with warmPool 1 adds to the bare one", starts.map(({ bare, warm }) => warm - bare)),
  ];
}

/** Cold starts of a service that has a container made in advance, each beside one of a service without, and a bare one. */
export async function warmPool(bench: Bench): Promise<Outcome> {
  const { app, docker, folder, signal } = bench;
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  await using bare = new BareStarter(docker, app, folder);
  await bare.prepare();
  for (const [name, warmPool] of Object.entries(SERVICES)) {
    await cless.declare(name, { image: app.image, pullPolicy: "never", warmPool });
  }
  return { findings: findingsOf(await measure(cless, bare, bench)) };
}
