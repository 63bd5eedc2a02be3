import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import { type BareStart, BareStarter } from "./bare_starter.ts";
import { STAGES, type Stages, stagesOf, wallClock } from "./stages.ts";

const BAR_MS = 10;
/** How often a bare app is asked. */
const PROBE_EVERY_MS = 1;

/** The same start in two ways. */
interface ColdStart {
  /** A request to a service without a container. */
  readonly cless: Stages;
  /** `docker run -d` with the same flags, and then requests until there is an answer. */
  readonly bare: Stages;
  readonly probing: BareStart;
}

/**
 * Starts the app again and again, in both ways by turns.
 *
 * @throws {BenchError} When there was a wrong answer.
 */
async function coldStarts(
  cless: ClessUnderTest,
  bareStarter: BareStarter,
  { docker, note, options: { coldStarts: count }, signal }: Bench,
): Promise<ColdStart[]> {
  using client = new HttpClient();
  const throughCless = async () => {
    await cless.makeCold();
    const began = wallClock();
    const answer = await client.ask(cless.url, { host: APP_HOST });
    const answered = wallClock();
    checkAnswer(answer, "cless");
    const stages = await stagesOf(docker, cless.owner, { began, answered });
    await cless.makeCold();
    return stages;
  };
  const bare = async () => {
    const began = wallClock();
    const probing = await bareStarter.start(PROBE_EVERY_MS, signal);
    const answered = wallClock();
    await bareStarter.check();
    const stages = await stagesOf(docker, bareStarter.owner, { began, answered });
    await bareStarter.remove();
    return { stages, probing };
  };
  await bareStarter.prepare();
  const starts: ColdStart[] = [];
  // What comes first runs cold code in both, and is not counted.
  for (let n = 0; n <= count; n++) {
    signal.throwIfAborted();
    const first = n % 2 === 0 ? await throughCless() : undefined;
    const { stages, probing } = await bare();
    const start = { cless: first ?? await throughCless(), bare: stages, probing };
    if (n === 0) continue;
    starts.push(start);
    note(`start ${n} of ${count}: cless ${total(start.cless).toFixed(0)} ms, bare ${total(start.bare).toFixed(0)} ms`);
  }
  return starts;
}

function total(stages: Stages): number {
  return STAGES.reduce((sum, stage) => sum + stages[stage], 0);
}

/** What each stage took; the last row has the medians of the pairs' differences, which need not add up. */
function stagesTable(starts: readonly ColdStart[]): string {
  const columns = [...STAGES.map((stage) => (stages: Stages) => stages[stage]), total];
  const row = (name: string, valueOf: (start: ColdStart, column: (stages: Stages) => number) => number) => [
    name,
    ...columns.map((column) => median(starts.map((start) => valueOf(start, column))).toFixed(1)),
  ];
  return table(["cold start, ms", ...STAGES, "total"], [
    row("cless", ({ cless }, column) => column(cless)),
    row("bare docker run -d", ({ bare }, column) => column(bare)),
    row("difference", ({ cless, bare }, column) => column(cless) - column(bare)),
  ]);
}

/** What {@linkcode coldStarts} tells. */
function coldFindings(starts: readonly ColdStart[]): Finding[] {
  const summary = (what: string, ms: number[], digits = 0) => ({
    what,
    value: `${median(ms).toFixed(digits)} ms`,
    spread: spread(ms, digits),
  });
  const added = starts.map(({ cless, bare }) => total(cless) - total(bare));
  const between = starts.filter(({ probing }) => probing.probes > 1)
    .map(({ probing: { probes, probingMs } }) => probingMs / (probes - 1));
  return [
    summary("cold start through cless", starts.map(({ cless }) => total(cless))),
    summary("cold start, bare docker run -d and first answer", starts.map(({ bare }) => total(bare))),
    ...(between.length === 0 ? [] : [summary("cold start, bare: from one probe to the next", between, 1)]),
    {
      ...summary(`cold start, what cless adds (${starts.length} pairs)`, added, 1),
      bar: `≤ ${BAR_MS} ms`,
      met: median(added) <= BAR_MS,
    },
  ];
}

/** Cold starts through cless, each beside a bare one. */
export async function coldStart(bench: Bench): Promise<Outcome> {
  const { app, docker, folder, signal } = bench;
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  await using bare = new BareStarter(docker, app, folder);
  const starts = await coldStarts(cless, bare, bench);
  return { tables: [stagesTable(starts)], findings: coldFindings(starts) };
}
