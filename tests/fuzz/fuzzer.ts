import { Harness } from "../support/harness.ts";
import { HttpMessage } from "../support/http_message.ts";
import { Origin, type OriginConnection } from "../support/origin.ts";
import { turns } from "../support/until.ts";
import { type FuzzCase, makeCase, REQUEST_TIMEOUT_MS } from "./fuzz_case.ts";
import { FuzzClient } from "./fuzz_client.ts";
import { judge } from "./verdict.ts";

/** How many batches run at the same time, each with so many clients and cases. */
const LANES = 4;
const CLIENTS = 32;
const BATCH = 500;
/** How many connections a run makes: some as fast as it can, the others no faster than that. */
const MOST_AT_FIRST = 60_000;
const MOST_PER_SECOND = 1000;
const MOST_FAILURES = 5;

/** The outcome of a run. */
export interface Outcome {
  readonly seed: number;
  /** What was wrong, case by case. */
  readonly failures: readonly string[];
  /** How many answers passed, were refused, were cut, and so on. */
  readonly counts: Readonly<Record<string, number>>;
  /** How many connections the apps got. */
  readonly connections: number;
}

/** Which cases to run. */
export interface FuzzOptions {
  readonly seed: number;
  readonly cases: number;
  /** The number of the first case. */
  readonly first?: number;
  /** Called with the number of cases done. */
  readonly progress?: (done: number) => void;
}

/** Sends mutated answers through cless to several clients at once; each of them must get its own answers or none. */
export async function fuzz(options: FuzzOptions): Promise<Outcome> {
  const { seed, cases, first = 0, progress = () => {} } = options;
  const run: Run = { seed, next: first, end: first + cases, failures: [], counts: {}, connections: 0 };
  const began = performance.now();
  const unhandled = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    const { reason } = event;
    fail(run, run.next, `an unhandled rejection near it: ${reason instanceof Error ? reason.stack : reason}`);
  };
  globalThis.addEventListener("unhandledrejection", unhandled);
  await Promise.all(Array.from({ length: LANES }, async () => {
    while (run.next < run.end && run.failures.length < MOST_FAILURES) {
      await batch(run);
      progress(run.next - first);
      // Linux remembers each connection for two minutes, and drops packets when there are too many: nf_conntrack_max.
      const seconds = (performance.now() - began) / 1000;
      const ahead = run.connections - MOST_AT_FIRST - MOST_PER_SECOND * seconds;
      if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead / MOST_PER_SECOND * 1000));
    }
  }));
  globalThis.removeEventListener("unhandledrejection", unhandled);
  return run;
}

/** A run in progress. */
interface Run extends Outcome {
  next: number;
  readonly end: number;
  readonly failures: string[];
  readonly counts: Record<string, number>;
  connections: number;
}

function fail(run: Run, number: number, what: string, fuzzed?: FuzzCase): void {
  run.failures.push(
    `case ${number}: ${what}\n  repeat: deno task fuzz --seed ${run.seed} --first ${number} --cases 1` +
      (fuzzed === undefined ? "" : `\n  ${fuzzed.method}: ${JSON.stringify(fuzzed.pieces).slice(0, 3000)}`),
  );
}

/** Some cases with an app and a cless of their own, since an `Origin` remembers all its connections. */
async function batch(run: Run): Promise<void> {
  const running = new Map<number, FuzzCase>();
  await using app = Origin.serving((connection) => serve(connection, running));
  await using cless = await Harness.warm({ forward: "exact", origin: app, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  let left = BATCH;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    using client = new FuzzClient(cless);
    while (run.failures.length < MOST_FAILURES && left > 0 && run.next < run.end) {
      left--;
      await one(run, run.next++, client, running);
    }
  }));
  await cless.idle();
  run.connections += app.connections;
}

/** One case, and a good request after it. */
async function one(run: Run, number: number, client: FuzzClient, running: Map<number, FuzzCase>): Promise<void> {
  const fuzzed = makeCase(run.seed, number);
  running.set(number, fuzzed);
  const answer = await client.ask(fuzzed.method, `/case/${number}`);
  running.delete(number);
  const { verdict, wrong } = judge(fuzzed, answer);
  run.counts[verdict] = (run.counts[verdict] ?? 0) + 1;
  if (wrong !== undefined) fail(run, number, wrong, fuzzed);
  const clean = await client.ask("GET", `/clean/${number}`);
  if (!(clean instanceof HttpMessage)) fail(run, number, `the request after it: ${clean}`, fuzzed);
  else if (clean.status !== 200 || clean.text !== `clean ${number}`) {
    fail(run, number, `the request after it: ${clean.startLine}, ${JSON.stringify(clean.text.slice(0, 300))}`, fuzzed);
  }
}

/** Plays the app: answers the requests of a connection. */
async function serve(connection: OriginConnection, running: ReadonlyMap<number, FuzzCase>): Promise<void> {
  for (let request; (request = await connection.reader.request()) !== undefined;) {
    const [, kind, number] = request.target.split("/");
    if (kind === "clean") {
      const body = `clean ${number}`;
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      continue;
    }
    const fuzzed = running.get(Number(number));
    if (fuzzed === undefined) return;
    for (const [n, piece] of fuzzed.pieces.entries()) {
      if (n > 0) await turns(1);
      if (!await connection.send(piece)) return;
    }
    if (fuzzed.reading.end !== undefined && fuzzed.reading.reusable && !fuzzed.surplus) continue;
    if (fuzzed.surplus) return await connection.ended(); // cless must have closed it
    if (fuzzed.closesAfterMs > 0) await new Promise((resolve) => setTimeout(resolve, fuzzed.closesAfterMs));
    return;
  }
}
