import { messageOf } from "../../../src/base/errors.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import type { Finding } from "../support/finding.ts";
import { HttpClient } from "../support/http_client.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import { SwapFile } from "../../support/swap_file.ts";

const MIB = 1024 ** 2;
const BARS = { memoryBytes: 8 * MIB, ofCold: 0.35, smallMs: 15 };
/** The images whose wake has an absolute bar. */
const SMALL = ["golang", "rust"];
const SAMPLES = ["golang", "rust", "python", "nodejs", "java"];
const FLAGS = ["--pause-after", "2s", "--hibernate-after", "2s", "--stop-after", "1h"];
const PATIENCE_MS = 300_000;
/** Instances are paused, and do not hibernate. */
const PAUSED_FLAGS = ["--pause-after", "3s", "--hibernate-after", "1h", "--stop-after", "2h"];
/** After so many requests, what they use is in memory again. */
const REQUESTS = 5;
const PAUSED_AIMS = { ofMemory: 0.4, wakeMs: 2 };
/** The images with the aims. */
const LARGE = ["nodejs", "java"];
/** A pause of the sender, in which nothing else happens on the machine. */
const QUIET_MS = 50;
/** The admin API's figures of memory are at most a second old. */
const MEASURED_MS = 1100;
/** The memory of each of many services. */
const MANY_MEGABYTES = 100;
const MANY_BARS = { memoryBytes: 1024 ** 3, awakeMs: 20_000 };
/** So many services of the many start at the same time. */
const BATCH = 10;

/** An app with so much memory, which it does not need to answer. */
function dockerfile(megabytes: number): string {
  const script = `
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
memory = os.urandom(${megabytes} << 20)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"awake")
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()`;
  return `FROM python-docker\nENTRYPOINT ${JSON.stringify(["python3", "-c", script])}\n`;
}

/** One service, asleep and awake again and again. */
interface Sleeper {
  readonly name: string;
  readonly coldMs: number[];
  readonly wakeMs: number[];
  /** In RAM before and after it has hibernated, bytes. */
  readonly awake: number[];
  readonly asleep: number[];
}

/** Hibernates services and wakes them. Makes a swap file for that, and removes it. */
export async function hibernate({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { hibernations, hibernatedServices: many } = options;
  let swap: SwapFile;
  try {
    // More than twice as much as the services need, since cless uses half of it.
    swap = await SwapFile.make(`${folder}/swap`, 2048 + 2.5 * MANY_MEGABYTES * many);
  } catch (error) {
    return { findings: [{ what: "hibernate", value: `not measured: ${messageOf(error)}` }] };
  }
  await using _swap = swap;
  await docker.run(["build", "--quiet", "--tag", "bench-large-docker", "-"], { stdin: dockerfile(200) });
  await docker.run(["build", "--quiet", "--tag", "bench-many", "-"], { stdin: dockerfile(MANY_MEGABYTES) });
  const asleep = await measureAsleep(`${folder}/data`, docker, options, note, signal);
  const paused = await measurePaused(`${folder}/paused`, docker, hibernations, note, signal);
  return {
    tables: [...asleep.tables, pausedTable(paused)],
    findings: [...asleep.findings, ...paused.flatMap(pausedFindings)],
  };
}

/** Lets services hibernate and wakes them: one at a time, and many at once. */
async function measureAsleep(
  dataDir: string,
  docker: Bench["docker"],
  { hibernations, hibernatedServices }: Bench["options"],
  note: (line: string) => void,
  signal: AbortSignal,
) {
  await using cless = await ClessUnderTest.start(docker, dataDir, signal, { flags: FLAGS });
  await cless.declare("limited", { image: "bench-large-docker", memory: "256m" });
  const sleepers: Sleeper[] = [];
  for (const name of [...SAMPLES, "bench-large", "limited"]) {
    note(name);
    sleepers.push(await measure(cless, name, hibernations, signal));
    await cless.makeCold();
  }
  const all = await wakeMany(cless, hibernatedServices, note, signal);
  return { tables: [sleepersTable(sleepers)], findings: [...sleepers.flatMap(sleeperFindings), ...all] };
}

/** One service at its first pause and at later ones. */
interface Pauser {
  readonly name: string;
  /** In RAM when awake for the first time, and at a later pause, bytes. */
  readonly before: number;
  readonly after: number;
  /** The wake after the first pause, whose memory comes from the disk, and the later ones. */
  readonly firstMs: number;
  readonly wakeMs: readonly number[];
}

/** Pauses services again and again: their memory is moved to the disk at the first pause only. */
async function measurePaused(
  dataDir: string,
  docker: Bench["docker"],
  count: number,
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<Pauser[]> {
  await using cless = await ClessUnderTest.start(docker, dataDir, signal, { flags: PAUSED_FLAGS });
  using client = new HttpClient();
  const pausers: Pauser[] = [];
  for (const name of SAMPLES) {
    note(`${name}, paused`);
    const ask = () => askTimed(client, cless, name);
    const use = async () => {
      for (let n = 0; n < REQUESTS; n++) await ask();
    };
    await use();
    const before = await memoryOf(cless, name);
    await untilPaused(cless, name, ({ swapBytes = 0 }) => swapBytes > 0);
    await new Promise((resolve) => setTimeout(resolve, MEASURED_MS)); // it may still be moving
    await forgetFiles();
    const firstMs = await ask();
    await use();
    await untilPaused(cless, name);
    const after = await memoryOf(cless, name);
    const wakeMs: number[] = [];
    for (let n = 0; n < 2 * count; n++) {
      signal.throwIfAborted();
      await untilPaused(cless, name);
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      wakeMs.push(await ask());
    }
    pausers.push({ name, before, after, firstMs, wakeMs });
    await cless.makeCold();
  }
  return pausers;
}

async function untilPaused(
  cless: ClessUnderTest,
  name: string,
  isSo: (instance: { readonly swapBytes?: number }) => boolean = () => true,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const instance = (await cless.instances()).find(({ service }) => service === name);
    if (instance?.state === "paused" && isSo(instance)) return;
    if (performance.now() > end) throw new BenchError(`${name} is ${instance?.state}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How long a request takes, ms. */
async function askTimed(client: HttpClient, cless: ClessUnderTest, name: string): Promise<number> {
  const began = performance.now();
  const { status } = await client.ask(cless.url, { host: `${name}.localhost` });
  if (status !== 200) throw new BenchError(`${name} answers with status ${status}`);
  return performance.now() - began;
}

async function measure(cless: ClessUnderTest, name: string, count: number, signal: AbortSignal): Promise<Sleeper> {
  using client = new HttpClient();
  const sleeper: Sleeper = { name, coldMs: [], wakeMs: [], awake: [], asleep: [] };
  const ask = () => askTimed(client, cless, name);
  for (let n = 0; n < count; n++) {
    signal.throwIfAborted();
    await cless.makeCold();
    sleeper.coldMs.push(await ask());
    sleeper.awake.push(await memoryOf(cless, name));
    await untilAsleep(cless, 1);
    await forgetFiles();
    sleeper.asleep.push(await memoryOf(cless, name));
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    sleeper.wakeMs.push(await ask());
  }
  return sleeper;
}

/** Lets many services of 100 MB hibernate, and wakes them all at once. */
async function wakeMany(
  cless: ClessUnderTest,
  count: number,
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<Finding[]> {
  using client = new HttpClient();
  const names = Array.from({ length: count }, (_, n) => `many-${n}`);
  const ask = async (name: string) => (await client.ask(cless.url, { host: `${name}.localhost` })).status;
  for (let at = 0; at < count; at += BATCH) {
    signal.throwIfAborted();
    const batch = names.slice(at, at + BATCH);
    for (const name of batch) await cless.declare(name, { image: "bench-many" });
    await Promise.all(batch.map(ask));
    await untilAsleep(cless, at + batch.length);
    if (at % 50 === 0) note(`${at + batch.length} of ${count} services hibernate`);
  }
  await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
  const memory = sum((await cless.instances()).map(({ memoryBytes = 0 }) => memoryBytes));
  const shims = await shimBytes();
  const began = performance.now();
  const failed = (await Promise.all(names.map(ask))).filter((status) => status !== 200).length;
  const awakeMs = performance.now() - began;
  return [{
    what: `${count} hibernated services of ${MANY_MEGABYTES} MB: RAM of all`,
    value: megabytes(memory),
    bar: `≤ ${megabytes(MANY_BARS.memoryBytes)}`,
    met: memory <= MANY_BARS.memoryBytes,
  }, {
    what: `the engine's processes for them (all shims of the machine)`,
    value: `${megabytes(shims)}, ${megabytes(shims / count)} each`,
  }, {
    what: `${count} hibernated services: all awake again, asked at once`,
    value: `${(awakeMs / 1000).toFixed(1)} s, ${failed} failed`,
    bar: `≤ ${MANY_BARS.awakeMs / 1000} s, 0 failed`,
    met: awakeMs <= MANY_BARS.awakeMs && failed === 0,
  }];
}

/** Waits until so many instances hibernate, and none does anything else. */
async function untilAsleep(cless: ClessUnderTest, count: number): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const states = (await cless.instances()).map(({ state }) => state);
    if (states.length === count && states.every((state) => state === "hibernated")) return;
    if (performance.now() > end) throw new BenchError(`the instances do not hibernate: they are ${states.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function memoryOf(cless: ClessUnderTest, name: string): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
  return (await cless.instances()).find(({ service }) => service === name)?.memoryBytes ?? NaN;
}

/** The memory of the processes that the engine keeps, one for each container; what they share counts once. */
async function shimBytes(): Promise<number> {
  const script =
    "cat $(pgrep -f containerd-shim | sed 's#.*#/proc/&/smaps_rollup#') | awk '/^Pss:/ { n += $2 } END { print n }'";
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  return 1024 * Number(new TextDecoder().decode(stdout));
}

/** Drops the kernel's copies of files, so that a wake has to read from the disk. */
async function forgetFiles(): Promise<void> {
  await new Deno.Command("sh", { args: ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"] }).output();
}

function sleepersTable(sleepers: readonly Sleeper[]): string {
  return table(["hibernate", "RAM awake", "RAM asleep", "wake, ms", "cold start, ms", "wake ÷ cold"], [
    ...sleepers.map(({ asleep, awake, coldMs, name, wakeMs }) => [
      name,
      megabytes(median(awake)),
      megabytes(median(asleep)),
      `${median(wakeMs).toFixed(1)} (${spread(wakeMs, 1)})`,
      `${median(coldMs).toFixed(0)} (${spread(coldMs, 0)})`,
      (median(wakeMs) / median(coldMs)).toFixed(2),
    ]),
  ]);
}

function sleeperFindings({ asleep, coldMs, name, wakeMs }: Sleeper): Finding[] {
  const [ramBytes, wake] = [median(asleep), median(wakeMs)];
  const ratio = wake / median(coldMs);
  const isSmall = SMALL.includes(name);
  return [{
    what: `hibernate ${name}: RAM`,
    value: megabytes(ramBytes),
    bar: `≤ ${megabytes(BARS.memoryBytes)}`,
    met: ramBytes <= BARS.memoryBytes,
  }, {
    what: `hibernate ${name}: wake`,
    value: `${wake.toFixed(1)} ms, ${ratio.toFixed(2)} of a cold start`,
    bar: `≤ ${BARS.ofCold} of a cold start${isSmall ? `, ≤ ${BARS.smallMs} ms` : ""}`,
    met: ratio <= BARS.ofCold && (!isSmall || wake <= BARS.smallMs),
  }];
}

function pausedTable(pausers: readonly Pauser[]): string {
  return table(["paused", "RAM awake", "RAM paused later", "share", "first wake, ms", "later wakes, ms"], [
    ...pausers.map(({ after, before, firstMs, name, wakeMs }) => [
      name,
      megabytes(before),
      megabytes(after),
      (after / before).toFixed(2),
      firstMs.toFixed(1),
      `${median(wakeMs).toFixed(1)} (${spread(wakeMs, 1)})`,
    ]),
  ]);
}

function pausedFindings({ after, before, name, wakeMs }: Pauser): Finding[] {
  if (!LARGE.includes(name)) return [];
  const [share, wake] = [after / before, median(wakeMs)];
  return [{
    what: `paused ${name}, after its first pause: RAM and wake`,
    value: `${(100 * share).toFixed(0)}%, ${wake.toFixed(1)} ms`,
    bar: `≤ ${100 * PAUSED_AIMS.ofMemory}%, ≤ ${PAUSED_AIMS.wakeMs} ms`,
    met: share <= PAUSED_AIMS.ofMemory && wake <= PAUSED_AIMS.wakeMs,
  }];
}

function megabytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MB`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
