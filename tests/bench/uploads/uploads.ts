import type { Bench, Outcome } from "../scenario.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import type { Finding } from "../support/finding.ts";
import { GoSender } from "../support/go_sender.ts";
import { HttpClient } from "../support/http_client.ts";
import { watchMemory } from "../support/memory_watch.ts";
import { cpuMicros, residentMb } from "../support/process.ts";
import { median, percentile } from "../support/statistics.ts";
import { table } from "../support/table.ts";

const KB = 1024;
const MB = 1024 * KB;
/** How long one upload may take. */
const LIMIT_MS = 330_000;
/** Requests in a second, beside each upload. */
const PROBES = 50;
/** How fast the slow app reads, in MB a second. */
const SLOW_MB = 20;

/** The lengths of chunks, and how much more CPU than the same upload with a length they may take. */
const CHUNKS = [
  { name: "1 KB", bytes: KB, mostRatio: 8 },
  { name: "16 KB", bytes: 16 * KB, mostRatio: 3 },
  { name: "64 KB", bytes: 64 * KB, mostRatio: 3 },
  { name: "1 MB", bytes: MB, mostRatio: 3 },
] as const;
/** What they may take beside that, for each 100 MB. */
const MOST_ADDED_SECONDS = 0.3;
const MOST_P99_MS = 100;
const MOST_GROWTH_MB = 64;

/** One length of upload, and one kind of app. */
interface Load {
  readonly name: string;
  readonly megabytes: number;
  /** How fast the app reads, in MB a second; 0 for as fast as it can. */
  readonly appMb: number;
}

/** What one kind of upload took; one entry for each round. */
interface Taken {
  readonly cpuSeconds: number[];
  readonly seconds: number[];
  readonly probeMs: number[];
  /** How much more memory there was during an upload than before it; the most of all rounds. */
  growthMb: number;
  /** The most memory of all rounds. */
  highestMb: number;
}

/** What chunked uploads cost, beside the same ones with a length, and how long others wait meanwhile. */
export async function uploads({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const sender = await GoSender.build("uploads/sender", folder, signal);
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  {
    using client = new HttpClient();
    checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  }
  const loads = options.uploadMegabytes.flatMap((megabytes): Load[] => [
    { name: `${megabytes} MB, app at full speed`, megabytes, appMb: 0 },
    { name: `${megabytes} MB, app at ${SLOW_MB} MB/s`, megabytes, appMb: SLOW_MB },
  ]);
  const { pid } = cless.program;
  const send = async (bytes: number, chunkBytes: number, appMb: number) => {
    const args = [
      `-address=${new URL(cless.url).host}`,
      `-host=${APP_HOST}`,
      `-path=/${appMb === 0 ? "" : `?rate=${appMb * MB}`}`,
      `-bytes=${bytes}`,
      `-chunk=${chunkBytes}`,
      `-probes=${PROBES}`,
    ];
    return await sender.run<{ seconds: number; probeMicros: number[] }>(args, LIMIT_MS, signal);
  };
  for (const { bytes } of [{ bytes: 0 }, ...CHUNKS]) await send(10 * MB, bytes, 0); // the code gets compiled
  const all = new Map(loads.map((load) => [load, new Map<number, Taken>()]));
  for (let round = 1; round <= options.uploadRounds; round++) {
    for (const [load, taken] of all) {
      for (const { bytes } of [{ bytes: 0 }, ...CHUNKS]) {
        const beforeMb = await residentMb(pid);
        const before = await cpuMicros(pid);
        const { value, highestMb } = await watchMemory(pid, () => send(load.megabytes * MB, bytes, load.appMb));
        const cpuSeconds = (await cpuMicros(pid) - before) / 1e6;
        const of = taken.get(bytes) ?? { cpuSeconds: [], seconds: [], probeMs: [], growthMb: 0, highestMb: 0 };
        taken.set(bytes, of);
        of.cpuSeconds.push(cpuSeconds);
        of.seconds.push(value.seconds);
        of.probeMs.push(...value.probeMicros.map((micros) => micros / 1000));
        of.growthMb = Math.max(of.growthMb, highestMb - beforeMb);
        of.highestMb = Math.max(of.highestMb, highestMb);
        note(
          `round ${round}: ${load.name}, ${
            bytes === 0 ? "with a length" : `chunks of ${bytes / KB} KB`
          }: ${cpuSeconds} s`,
        );
      }
    }
  }
  return { tables: [uploadsTable(all)], findings: CHUNKS.flatMap((chunks) => findingsOf(chunks, all)) };
}

function uploadsTable(all: ReadonlyMap<Load, ReadonlyMap<number, Taken>>): string {
  const rows = [...all].flatMap(([load, taken]) =>
    [...taken].map(([bytes, { cpuSeconds, growthMb, highestMb, probeMs, seconds }]) => {
      const chunks = CHUNKS.find((chunks) => chunks.bytes === bytes);
      return [
        `${load.name}, ${chunks === undefined ? "with a length" : `chunks of ${chunks.name}`}`,
        `${median(seconds).toFixed(2)} s`,
        `${median(cpuSeconds).toFixed(2)} s`,
        chunks === undefined ? "" : `${mostSeconds(chunks, load, taken).toFixed(2)} s`,
        `${percentile(probeMs, 0.5).toFixed(1)} ms`,
        `${percentile(probeMs, 0.99).toFixed(1)} ms`,
        `+${growthMb.toFixed(0)} MB`,
        `${highestMb.toFixed(0)} MB`,
      ];
    })
  );
  return table(["uploads", "time", "CPU", "bar", "GETs beside it: p50", "p99", "memory", "highest"], rows);
}

/** The bar for the CPU of a chunked upload. */
function mostSeconds(
  { mostRatio }: typeof CHUNKS[number],
  { megabytes }: Load,
  taken: ReadonlyMap<number, Taken>,
): number {
  return mostRatio * median(taken.get(0)!.cpuSeconds) + MOST_ADDED_SECONDS * megabytes / 100;
}

function findingsOf(
  chunks: typeof CHUNKS[number],
  all: ReadonlyMap<Load, ReadonlyMap<number, Taken>>,
): Finding[] {
  const what = `uploads in chunks of ${chunks.name}`;
  const each = [...all].map(([load, taken]) => {
    const { cpuSeconds, growthMb, probeMs } = taken.get(chunks.bytes)!;
    return {
      share: median(cpuSeconds) / mostSeconds(chunks, load, taken),
      p99Ms: percentile(probeMs, 0.99),
      growthMb,
    };
  });
  const worst = (of: (one: typeof each[number]) => number) => Math.max(...each.map(of));
  const [share, p99Ms, growthMb] = [worst((one) => one.share), worst((one) => one.p99Ms), worst((one) => one.growthMb)];
  return [
    {
      what: `${what}: CPU, as a share of the bar (worst load)`,
      value: `${(100 * share).toFixed(0)}%`,
      bar: `${chunks.mostRatio} × with a length + ${MOST_ADDED_SECONDS} s per 100 MB`,
      met: share <= 1,
    },
    {
      what: `${what}: p99 of ${PROBES} GETs a second beside it (worst load)`,
      value: `${p99Ms.toFixed(1)} ms`,
      bar: `≤ ${MOST_P99_MS} ms`,
      met: p99Ms <= MOST_P99_MS,
    },
    {
      what: `${what}: memory (worst load)`,
      value: `+${growthMb.toFixed(0)} MB`,
      bar: `≤ ${MOST_GROWTH_MB} MB`,
      met: growthMb <= MOST_GROWTH_MB,
    },
  ];
}
