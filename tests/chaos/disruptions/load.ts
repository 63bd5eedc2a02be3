import { GoSender } from "../../bench/support/go_sender.ts";
import { residentMb } from "../../bench/support/process.ts";
import { type Act, type Disruption, expect, expectSameContainers, harm, measure } from "../disruption.ts";
import { pause } from "../engine.ts";
import { type Requirement, serviceOf } from "../judge.ts";
import { type Flow, type FlowReport, Traffic } from "../traffic.ts";

const FACTOR = 3;
/** An app that takes 10 ms for each of four requests at once, and the 12 bytes of one that costs nothing. */
const APP_BOUND = { query: "work=10", template: { concurrency: 4 }, workers: 16, leastShare: 0.8 };
/** How much is left of this one depends on what the sender leaves of the processors: the bench judges that. */
const PROXY_BOUND = { query: "", template: { concurrency: 0 }, workers: 64, leastShare: undefined };
const MOST_P99_MS = 1000;
const MOST_GROWTH_MB = 150;
const SLOW_CLIENTS = { whole: 2000, quick: 500 };
const PROBES = 50;
/** What of the requests for the service beside has to be answered; a short run may be on a machine with other work. */
const ANSWERED = { whole: 0.99, quick: 0.9 };

/** The service that is warm beside, and has to be answered in time. */
const BESIDE: Flow = { name: "other, kept", kind: "get", host: "other.localhost", rate: PROBES };
const requirement = (what: string): Requirement => ({
  text: `${FACTOR}× the capacity, ${what}: 99% of a warm service beside answered, no container replaced`,
  excuse: ({ cause }) => cause === "503 overloaded",
  longestWaitMs: 10_000,
});

/** What clients do that are too many, or too slow. */
export const LOAD: readonly Disruption[] = [
  {
    name: "overload-app",
    planned: false,
    requirement: requirement("which the app sets"),
    stage: { template: APP_BOUND.template },
    flows: () => [BESIDE],
    leastSent: 500,
    run: (act) => overload(act, APP_BOUND),
  },
  {
    name: "overload-cless",
    planned: false,
    requirement: requirement("which cless sets"),
    stage: { template: PROXY_BOUND.template },
    flows: () => [BESIDE],
    leastSent: 500,
    run: (act) => overload(act, PROXY_BOUND),
  },
  {
    name: "slow-clients",
    planned: false,
    requirement: {
      text:
        `${SLOW_CLIENTS.whole} clients that read nothing or stop in an upload: 0 others fail, none keeps an app awake`,
      longestWaitMs: 10_000,
    },
    stage: { flags: ["--client-timeout=5s"] },
    run: slowClients,
  },
];

/** What became of a load; see `tests/bench/overload/sender/flow.go`. */
interface Load {
  readonly begun: number;
  readonly good: number;
  readonly shed: number;
  readonly failed: number;
  readonly failure: string;
  readonly goodP99: number;
}

async function overload(
  act: Act,
  { leastShare, query, workers }: typeof APP_BOUND | typeof PROXY_BOUND,
): Promise<void> {
  const { folder, quick, signal, stage } = act;
  const before = await stage.containers();
  const beforeMb = await residentMb(stage.pid);
  // The sender of the bench: the one of this run checks more, and needs a processor for so many requests.
  const sender = await GoSender.build("overload/sender", await Deno.makeTempDir({ dir: folder }), signal);
  const send = async (load: string, seconds: number) => {
    const to = [`-address=${new URL(stage.cless.url).host}`, `-path=/?${query}`, "-answer=first "];
    const limitMs = (seconds + 60) * 1000;
    return (await sender.run<[Load]>([...to, load, `-seconds=${seconds}`], limitMs, signal))[0];
  };
  const askedSeconds = quick ? 1 : 5;
  const capacity = (await send(`-closed=app.localhost=${workers}`, askedSeconds)).good / askedSeconds;
  const seconds = quick ? 3 : 20;
  const open = `-open=app.localhost=${Math.round(FACTOR * capacity)}`;
  const load = await harm(act, serviceOf(BESIDE.host), () => send(open, seconds));
  const goodput = load.good / seconds;
  act.note(`sent ${(load.begun / seconds / capacity).toFixed(2)}×, ${load.shed} refused`);
  const answered = `${goodput.toFixed(0)}/s of ${capacity.toFixed(0)}/s`;
  const p99 = `${load.goodP99.toFixed(0)} ms`;
  if (leastShare === undefined) {
    measure(act, "goodput", answered, "told", true);
    measure(act, "p99 of what is answered", p99, "told", true);
  } else {
    const least = leastShare * capacity;
    measure(act, "goodput", answered, `≥ ${least.toFixed(0)}/s`, goodput >= least);
    measure(act, "p99 of what is answered", p99, `≤ ${MOST_P99_MS} ms`, load.goodP99 <= MOST_P99_MS);
  }
  const { failed, failure } = load;
  expect(act, "failures but 503 overloaded", `${failed} ${failure}`.trim(), "0", failed === 0);
  await expectSameContainers(act, before);
  await pause(quick ? 500 : 10_000);
  const grownMb = await residentMb(stage.pid) - beforeMb;
  measure(
    act,
    "memory above the unloaded",
    `${grownMb.toFixed(0)} MB`,
    `≤ ${MOST_GROWTH_MB} MB`,
    grownMb <= MOST_GROWTH_MB,
  );
  act.afterwards.push(({ flows }) => {
    const beside = flows.find(({ name }) => name === BESIDE.name)!;
    const answeredShare = quick ? ANSWERED.quick : ANSWERED.whole;
    return [{
      what: "the service beside: answered",
      value: `${beside.good} of ${beside.sent}`,
      bar: `≥ ${100 * answeredShare}%`,
      met: beside.good >= answeredShare * beside.sent,
      correctness: true,
    }, {
      what: "the service beside: p99",
      value: `${beside.p99Ms.toFixed(0)} ms`,
      ...leastShare === undefined ? { bar: "told" } : { bar: "≤ 250 ms", met: beside.p99Ms <= 250 },
    }];
  });
}

async function slowClients(act: Act): Promise<void> {
  const { quick, stage } = act;
  const host = "idle.localhost"; // nobody else asks for it
  const before = await stage.containers();
  const beforeMb = await residentMb(stage.pid);
  const inFlight = async () => (await stage.instances("idle")).reduce((sum, { inFlight }) => sum + inFlight, 0);
  let highestMb = 0;
  {
    const clients = (quick ? SLOW_CLIENTS.quick : SLOW_CLIENTS.whole) / 2;
    await using slow = Traffic.start(act.sender, stage.cless.url, [
      { name: "mute", kind: "mute", host, clients },
      { name: "half", kind: "half", host, clients },
    ], act.seed);
    const end = performance.now() + (quick ? 15_000 : 30_000);
    let most = 0;
    while (performance.now() < end) {
      act.signal.throwIfAborted();
      most = Math.max(most, await inFlight());
      highestMb = Math.max(highestMb, await residentMb(stage.pid));
      await pause(500);
    }
    const left = await inFlight();
    expect(act, "requests in flight while they hold on", `${left}, at first ${most}`, "0", left === 0 && most > 0);
    const { flows } = await slow.finish();
    const [, half] = flows as [FlowReport, FlowReport];
    const timedOut = half.ends["408 client_timeout"] ?? 0;
    expect(act, "half bodies that ended as 408", `${timedOut} of ${clients}`, `${clients}`, timedOut === clients);
    act.note(`ends: ${flows.map(({ ends, name }) => `${name} ${JSON.stringify(ends)}`).join(", ")}`);
  }
  measure(act, "most memory meanwhile", `${highestMb.toFixed(0)} MB, ${beforeMb.toFixed(0)} before`, "told", true);
  const end = performance.now() + (quick ? 1000 : 60_000);
  let afterMb = await residentMb(stage.pid);
  while (afterMb > 1.5 * beforeMb && performance.now() < end) {
    await pause(1000);
    afterMb = await residentMb(stage.pid);
  }
  const bar = `≤ ${(1.5 * beforeMb).toFixed(0)} MB`;
  measure(act, "memory once they have gone", `${afterMb.toFixed(0)} MB`, bar, afterMb <= 1.5 * beforeMb);
  await expectSameContainers(act, before);
}
