import type { DockerCommand } from "../../../src/docker/command.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";

const BAR_MS = 2000;
const PATIENCE_MS = 30_000;
/** So many services are deployed at once. */
const AT_ONCE = 4;
const FLAGS = ["--on-exit=keep", "--no-convention"];

/** One start after another process, ms. */
interface Start {
  /** From SIGTERM to the end of the process before. */
  readonly exitMs: number;
  /** From its start to a good /readyz. */
  readonly readyMs: number;
  /** From its start until all containers are known to it as ready or paused. */
  readonly knownMs: number;
}

/** Deploys so many services, has one container of each, and pauses every other one. */
async function fill(
  cless: ClessUnderTest,
  image: string,
  { count, docker, note }: { count: number; docker: DockerCommand; note: (line: string) => void },
  signal: AbortSignal,
): Promise<void> {
  let next = 0;
  const deploy = async () => {
    while (next < count) {
      signal.throwIfAborted();
      const n = next++;
      await cless.deploy(`bench-${n}`, { image });
      if ((n + 1) % 50 === 0) note(`${n + 1} of ${count} containers made`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, deploy));
  const ids = (await cless.instances()).map(({ id }) => id);
  if (ids.length !== count) throw new BenchError(`${ids.length} containers were made instead of ${count}`);
  await docker.run(["pause", ...ids.filter((_, n) => n % 2 === 0)]);
  await untilKnown(cless, count, signal);
}

/** Waits until so many containers are known, half of them as paused. */
async function untilKnown(cless: ClessUnderTest, count: number, signal: AbortSignal): Promise<void> {
  const paused = Math.ceil(count / 2);
  const end = performance.now() + PATIENCE_MS;
  while (await cless.count("paused") !== paused || await cless.count("ready") !== count - paused) {
    signal.throwIfAborted();
    if (performance.now() > end) throw new BenchError(`cless does not know of its ${count} containers`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Ends the process, and starts the next one. @param count How many containers it is to find. */
async function startAgain(cless: ClessUnderTest, count: number, signal: AbortSignal): Promise<Start> {
  const before = await idsOf(cless);
  const ended = performance.now();
  await cless.end();
  const began = performance.now();
  cless.begin();
  await cless.untilReady(signal);
  const readyMs = performance.now() - began;
  await untilKnown(cless, count, signal);
  const knownMs = performance.now() - began;
  if (await idsOf(cless) !== before) throw new BenchError("cless has other containers than the process before it");
  return { exitMs: began - ended, readyMs, knownMs };
}

async function idsOf(cless: ClessUnderTest): Promise<string> {
  return (await cless.instances()).map(({ id }) => id).sort().join();
}

/** What the starts tell. */
function adoptionFindings(count: number, starts: readonly { many: Start; none: Start }[]): Finding[] {
  const summary = (what: string, values: readonly number[]) => ({
    what: `upgrade: ${what}`,
    value: `${median(values).toFixed(0)} ms`,
    spread: spread(values, 0),
    bar: "stated",
  });
  const known = starts.map(({ many }) => many.knownMs);
  const added = starts.map(({ many, none }) => many.knownMs - none.readyMs);
  return [
    {
      ...summary(`start until ${count} containers are adopted, half of them paused`, known),
      bar: `≤ ${BAR_MS} ms`,
      met: median(known) <= BAR_MS,
    },
    summary(`start to /readyz, ${count} containers to adopt`, starts.map(({ many }) => many.readyMs)),
    summary("start to /readyz, none to adopt", starts.map(({ none }) => none.readyMs)),
    summary(`what ${count} containers add, all adopted − /readyz with none`, added),
    summary(`exit that keeps ${count} containers`, starts.map(({ many }) => many.exitMs)),
  ];
}

/** How long a new process takes to know of many containers, beside one that finds none. */
export async function adoption({ app, docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { adopted: count, rounds } = options;
  await using none = await ClessUnderTest.start(docker, `${folder}/none`, signal, { flags: FLAGS });
  await using many = await ClessUnderTest.start(docker, `${folder}/many`, signal, { flags: FLAGS });
  await fill(many, app.image, { count, docker, note }, signal);
  const starts: { many: Start; none: Start }[] = [];
  for (let n = 0; n < rounds; n++) {
    const first = n % 2 === 1 ? await startAgain(none, 0, signal) : undefined;
    const full = await startAgain(many, count, signal);
    starts.push({ many: full, none: first ?? await startAgain(none, 0, signal) });
    note(
      `start ${n + 1} of ${rounds}: ready after ${full.readyMs.toFixed(0)} ms, all known ${full.knownMs.toFixed(0)} ms`,
    );
  }
  return { findings: adoptionFindings(count, starts) };
}
