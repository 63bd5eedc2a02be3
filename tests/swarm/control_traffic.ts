import { Random } from "../support/random.ts";
import { table } from "../bench/support/table.ts";

/** What was measured on three nodes: see docs/scale.md. */
const MEASURED = {
  /** In a list of the Swarm's store, bytes of JSON: a service with its domain, and a revision. */
  serviceBytes: 2900,
  revisionBytes: 1200,
  /** Of one running instance in a list: its service of Swarm, and its task. */
  instanceBytes: 3400,
  registrationBytes: 400,
  /** What a manager's engine makes of its store for such answers, bytes per second of one processor. */
  bytesPerCpuSecond: 47e6,
};
/** What cless does on its own, s: see `RECONCILE_MS` and `RENEW_MS`. */
const EVERY = { listS: 15, renewS: 10 };
/** The flags' defaults on machines without swap, s. */
const IDLE = { pauseS: 60, stopS: 600 };
/** Changes in Swarm's store for a start of an instance and for its end: of the service and of its task's states. */
const WRITES = { start: 8, stop: 4 };
/** So many events about an instance reach every cless: its service is created and removed. */
const EVENTS_PER_LIFE = 2;
/** How often a cless looks at an instance that it starts, until that runs: every 50 ms of 0.9 s. */
const LOOKS_PER_START = 18;
/** How often services get a request, s: each one has a mean between these, all magnitudes alike. */
const BETWEEN = { leastS: 10, mostS: 30 * 86_400 };
const HOUR_S = 3600;

/** A Swarm that is imagined. */
export interface Size {
  readonly nodes: number;
  readonly services: number;
}

/** What its services do, for each second of an hour. */
export interface Life {
  readonly requests: number;
  readonly starts: number;
  readonly stops: number;
  readonly pauses: number;
  readonly resumes: number;
  /** How many there are, awake or paused, on average. */
  readonly instances: number;
}

/** What cless and Swarm do for that, each second. */
export interface Traffic {
  /** Changes of Swarm's store. */
  readonly writes: number;
  /** Events that all cless get together. */
  readonly events: number;
  /** Messages between cless. */
  readonly messages: number;
  /** Bytes of instances and of registrations that all cless read from the managers together. */
  readonly readBytes: number;
  /** Processors of the managers that make these answers. */
  readonly managerCpus: number;
  /** What every manager has in memory for what is declared, bytes. */
  readonly storeBytes: number;
}

/** Lets services be asked at random for an hour, after one that does not count. The same size gives the same. */
export function liveAnHour({ services }: Size): Life {
  const random = new Random(services);
  const uniform = () => (random.below(2 ** 31) + 0.5) / 2 ** 31;
  const sum = { requests: 0, starts: 0, stops: 0, pauses: 0, resumes: 0, instanceS: 0 };
  const span = (from: number, to: number) => Math.max(0, Math.min(to, 2 * HOUR_S) - Math.max(from, HOUR_S));
  const counts = (at: number) => at >= HOUR_S && at < 2 * HOUR_S ? 1 : 0;
  for (let service = 0; service < services; service++) {
    const meanS = BETWEEN.leastS * (BETWEEN.mostS / BETWEEN.leastS) ** uniform();
    let lastAt = -Infinity;
    for (let at = -meanS * Math.log(uniform());; at += -meanS * Math.log(uniform())) {
      const idleS = at - lastAt;
      if (idleS > IDLE.pauseS) sum.pauses += counts(lastAt + IDLE.pauseS);
      if (idleS > IDLE.stopS) sum.stops += counts(lastAt + IDLE.stopS);
      sum.instanceS += span(lastAt, lastAt + Math.min(idleS, IDLE.stopS));
      if (at >= 2 * HOUR_S) break;
      sum.requests += counts(at);
      if (idleS > IDLE.stopS) sum.starts += counts(at);
      else if (idleS > IDLE.pauseS) sum.resumes += counts(at);
      lastAt = at;
    }
  }
  const { instanceS, pauses, requests, resumes, starts, stops } = sum;
  const each = (count: number) => count / HOUR_S;
  return {
    ...{ requests: each(requests), starts: each(starts), stops: each(stops) },
    ...{ pauses: each(pauses), resumes: each(resumes), instances: each(instanceS) },
  };
}

/** Reckons what a life costs. */
export function trafficOf({ nodes, services }: Size, life: Life): Traffic {
  const { instanceBytes, registrationBytes, revisionBytes, serviceBytes } = MEASURED;
  const { instances, pauses, resumes, starts, stops } = life;
  const others = nodes - 1;
  const renewals = nodes / EVERY.renewS;
  const lists = nodes / EVERY.listS;
  // One cless starts an instance, and each other one looks at it once.
  const looks = starts * (LOOKS_PER_START + others);
  // The others are asked before each pause and each end, and told of each start and resumption; a list asks who sleeps.
  const messages = others * (pauses + 2 * stops + starts + resumes) + resumes * others / nodes + lists * others;
  const readBytes = (lists * instances + looks) * instanceBytes + renewals * nodes * registrationBytes;
  return {
    writes: renewals + WRITES.start * starts + WRITES.stop * stops,
    events: nodes * (renewals + EVENTS_PER_LIFE * starts) * 2, // each cless listens twice: for its store, and for its engine
    messages,
    readBytes,
    managerCpus: readBytes / MEASURED.bytesPerCpuSecond,
    storeBytes: services * (serviceBytes + 2 * revisionBytes),
  };
}

/** The sizes that docs/scale.md shows. */
const SIZES: readonly Size[] = [
  { nodes: 3, services: 1000 },
  { nodes: 10, services: 10_000 },
  { nodes: 30, services: 30_000 },
  { nodes: 100, services: 100_000 },
];

/** The table of docs/scale.md. */
export function trafficTable(): string {
  const all = SIZES.map((size) => ({ size, life: liveAnHour(size), traffic: trafficOf(size, liveAnHour(size)) }));
  const row = (what: string, valueOf: (one: typeof all[number]) => number, digits = 0) => [
    what,
    ...all.map((one) => valueOf(one).toLocaleString("en", { maximumFractionDigits: digits })),
  ];
  return table(
    ["", ...SIZES.map(({ nodes, services }) => `${nodes} nodes, ${services.toLocaleString("en")} services`)],
    [
      row("requests/s", ({ life }) => life.requests),
      row("instances that run or are paused", ({ life }) => life.instances),
      row("cold starts/s", ({ life }) => life.starts, 2),
      row("pauses and resumptions/s", ({ life }) => life.pauses + life.resumes, 1),
      row("changes of Swarm's store/s", ({ traffic }) => traffic.writes, 1),
      row("events/s, to all cless", ({ traffic }) => traffic.events),
      row("messages/s between cless", ({ traffic }) => traffic.messages),
      row("read from the managers, MB/s", ({ traffic }) => traffic.readBytes / 1e6, 1),
      row("processors of the managers for that", ({ traffic }) => traffic.managerCpus, 2),
      row("what is declared, MB in every manager", ({ traffic }) => traffic.storeBytes / 1e6),
    ],
  );
}

if (import.meta.main) console.log(trafficTable());
