import { messageOf } from "../../../src/base/errors.ts";
import { BenchError } from "../../bench/support/errors.ts";
import { Harms } from "../../support/harms.ts";
import { Random } from "../../support/random.ts";
import { Cluster } from "../../swarm/cluster.ts";
import type { Outcome } from "../../swarm/steady_load.ts";
import { SwarmWatch } from "../../swarm/swarm_watch.ts";
import { expect, measure } from "../disruption.ts";
import { pause } from "../engine.ts";
import { broken, cutOff, judge, type Line } from "../judge.ts";
import type { ChaosOptions } from "../run.ts";
import { buildImage, IMAGE } from "../stage.ts";
import type { Failed } from "../traffic.ts";
import { compareAll, endAll } from "./ending.ts";
import { sequence } from "./events.ts";
import { type Probe, Probes, SLOW_MS } from "./probes.ts";
import { Requests } from "./requests.ts";
import { appOf, type SwarmStage, templateOf, untilWell } from "./stage.ts";
import { VolumeWatch } from "./volume_watch.ts";

/** The name of this line. */
export const SWARM = "swarm";
/** A start may take 30 s; the error that those who wait then get has 2 s to arrive. */
const LONGEST_WAIT_MS = 32_000;
/** How many good answers of each node show that everything is at work. */
const WARM = 100;
const WARM_MS = 30_000;
/** So long after something has happened, and Swarm can start instances, requests may be slow. */
const WELL_MS = 5000;
/** `seldom` sleeps and wakes all the time, and `store` has a volume. */
const SERVICES = {
  app: appOf("first"),
  other: templateOf("other"),
  seldom: templateOf("seldom", { pauseAfter: "1s", stopAfter: "4s" }),
  store: templateOf("store", { volumes: [{ source: "data", path: "/data" }], pauseAfter: "1s", startTimeout: "10s" }),
};
const PROBES: readonly Probe[] = [
  { service: "app", perSecond: 20, must: "be fast" },
  { service: "other", perSecond: 10, must: "be fast" },
  { service: "seldom", perSecond: 0.19, must: "be answered" },
  { service: "store", perSecond: 0.7, must: undefined },
];

/** What it is made with. */
interface SwarmWork {
  readonly folder: string;
  /** The sender's executable. */
  readonly sender: string;
  readonly signal: AbortSignal;
  /** The ids of all images that were made. */
  readonly images: Set<string>;
}

/** Has nodes, their engines and their cless fail at random while requests come, changes services, and judges. */
export async function swarmLine(work: SwarmWork, options: ChaosOptions): Promise<Line> {
  const { quick, seed } = options;
  const { sender, signal } = work;
  const note = (line: string) => options.note(`${SWARM}: ${line}`);
  const requirement = {
    text: "nodes, leaders, networks, engines and cless of three nodes fail: only what was in flight there",
    longestWaitMs: LONGEST_WAIT_MS,
  };
  const harms = new Harms(); // all the time: the requests themselves know what was harmed
  harms.harming();
  try {
    note("starting three nodes");
    await buildImage(work);
    await using cluster = await Cluster.start({ managers: 3, images: [IMAGE], flags: ["--log-level", "info"] });
    await using _log = { [Symbol.asyncDispose]: () => writeLog(cluster, options.log) };
    for (const [name, template] of Object.entries(SERVICES)) {
      const { status, text } = await cluster.cless(1).send("PUT", `/v1/services/${name}`, template);
      if (status !== 201) throw new BenchError(`cannot deploy ${name}: status ${status}, ${text}`);
    }
    const { status } = await cluster.cless(1).send("PUT", "/v1/services/app", appOf("second"));
    if (status !== 200) throw new BenchError(`cannot deploy app again: status ${status}`); // for a rollback
    const numbers = cluster.nodes.all.map(({ number }) => number);
    await using requests = new Requests(cluster, sender, { seed, share: quick ? 0.5 : 1 });
    await using probes = new Probes(PROBES, numbers, (number) => cluster.node(number).address);
    await using swarm = new SwarmWatch(cluster, probes.live, probes.away);
    const stage: SwarmStage = { cluster, requests, probes, random: new Random(seed), findings: [], signal, note };
    await untilWell(stage);
    for (const number of numbers) requests.begin(number);
    await requests.untilGood(WARM, WARM_MS);
    await perform(stage, swarm, quick);
    const sent = await requests.finish();
    await compareAll(stage);
    await endAll(stage);
    return judge(SWARM, sent, {
      ...{ harms, findings: stage.findings, planned: false, quick },
      requirement: {
        ...requirement,
        excuse: (failed) => requests.mayFail(failed) || waitedForSwarm(failed, swarm) || cutOffBySwarm(failed, swarm),
      },
      leastSent: quick ? 500 : 10_000,
    });
  } catch (error) {
    signal.throwIfAborted();
    return broken(SWARM, { planned: false, requirement }, messageOf(error));
  }
}

/** Adds to a file what all cless have logged. */
async function writeLog({ nodes }: Cluster, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const lines = nodes.all.flatMap(({ hostname, programs }) =>
    programs.flatMap(({ log }) => log.map((line) => `${JSON.stringify({ hostname, ...line })}\n`))
  );
  await Deno.writeTextFile(file, lines.join(""), { append: true });
}

/** What happened, and when: ms since the first probe. */
interface Happened {
  readonly name: string;
  readonly atMs: number;
}

/** A moment, as what happened last before it tells it. */
function after(happened: readonly Happened[], atMs: number): string {
  const last = happened.findLast((event) => event.atMs <= atMs);
  return last === undefined ? seconds(atMs) : `${seconds(atMs - last.atMs)} after ${last.name} began`;
}

/** Lets one thing happen after the other, and notes what the probes met. */
async function perform(stage: SwarmStage, swarm: SwarmWatch, quick: boolean): Promise<void> {
  const { cluster, note, probes, random, signal } = stage;
  const happened: Happened[] = [];
  await using watch = new VolumeWatch(cluster, "store");
  for (const { name, run } of sequence(random, quick)) {
    signal.throwIfAborted();
    const atMs = probes.nowMs;
    try {
      await run(stage);
      happened.push({ name, atMs });
    } catch (error) {
      throw new BenchError(`${name}: ${messageOf(error)}`);
    }
    note(`${name}: ${((probes.nowMs - atMs) / 1000).toFixed(1)} s`);
    await pause(random.between(500, 2000));
  }
  await probes.stop();
  const what = `containers with one volume at a time (looked ${watch.looks} times)`;
  expect(stage, what, watch.most, "1", watch.most === 1);
  const { outcomes } = probes;
  const zeroMs = performance.now() - probes.nowMs; // when the probes began
  const failed = outcomes.filter(({ answer, atMs, code, tookMs }) => {
    const times = { began: zeroMs + atMs, ended: zeroMs + atMs + tookMs };
    return answer !== 200 && !waitedForSwarm({ ...times, cause: `${answer} ${code}` }, swarm);
  });
  const told = ({ address, answer, atMs, code, text, tookMs }: Outcome) =>
    `${answer} ${code || text} by ${address} after ${seconds(tookMs)}, sent ${after(happened, atMs)}`;
  const causes = failed.map(told).join("; ");
  const value = failed.length === 0 ? `${outcomes.length}, 0 failed` : causes;
  expect(stage, "probes of all cless that live", value, "0 failed", failed.length === 0);
  for (const [index, { atMs, name }] of happened.entries()) {
    const toMs = happened[index + 1]?.atMs ?? Infinity;
    const ms = probes.slowFor(atMs, toMs);
    const unableMs = swarm.recoveredAfter(zeroMs + atMs, zeroMs + toMs);
    const what = `${index + 1}, ${name}: until no request takes ${SLOW_MS / 1000} s`;
    const limit = unableMs > 0 ? `Swarm's own ${seconds(unableMs)} and ${seconds(WELL_MS)}` : seconds(WELL_MS);
    measure(stage, what, seconds(ms), `≤ ${limit}`, ms <= unableMs + WELL_MS);
  }
}

/**
 * Whether a request waited for a start, or came after many that did, when Swarm itself could start nothing or had just
 * been able to again.
 */
function waitedForSwarm(
  { began, cause, ended }: Pick<Failed, "began" | "cause" | "ended">,
  swarm: SwarmWatch,
): boolean {
  const isOfHeld = cause === "503 overloaded" || cause === "504 start_timeout";
  return isOfHeld && swarm.recoveredAfter(began - WELL_MS, ended) > 0;
}

/**
 * Whether a request was cut off with an instance that Swarm may have ended: a new leader who has not heard from a node
 * yet may take it for lost.
 */
function cutOffBySwarm(failed: Failed, swarm: SwarmWatch): boolean {
  return cutOff(failed) && swarm.recoveredAfter(failed.began - WELL_MS, failed.ended) > 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
