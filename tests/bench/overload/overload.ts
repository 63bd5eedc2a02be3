import type { Bench, Outcome } from "../scenario.ts";
import { checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import type { Finding } from "../support/finding.ts";
import { GoSender } from "../support/go_sender.ts";
import { HttpClient } from "../support/http_client.ts";
import { cpuMicros, residentMb } from "../support/process.ts";
import { table } from "../support/table.ts";

const FACTORS = [2, 3] as const;
/** Requests a second for the warm service beside. */
const BESIDE_PER_S = 50;
/** Simultaneous requests of the closed loops that look for the capacity. */
const CONNECTIONS = [32, 64, 128] as const;
const APP_CONNECTIONS = 16;
/** For how long everything is refused, to learn what the machine can do, s. */
const REFUSING_S = 5;
/** The most connections of an open loop, see `sender/main.go`: a refusal costs more than over a few. */
const OPEN_CONNECTIONS = 1000;
const MOST_P99_MS = 1000;
const MOST_GROWTH_MB = 150;
const BESIDE_SHARE = 0.99;

/** What sets the limit: an app of 10 ms for each of four requests at once, or cless itself. */
const LOADS = [
  { name: "app-bound", service: "load-app", path: "/?work=10", template: { concurrency: 4 } },
  { name: "cless-bound", service: "load-cless", path: "/", template: {} },
] as const;
type Load = typeof LOADS[number];

/** What became of the requests for one host; see `sender/flow.go`. */
interface Flow {
  readonly begun: number;
  readonly good: number;
  readonly shed: number;
  readonly tooLate: number;
  readonly failed: number;
  readonly failure: string;
  readonly goodP50: number;
  readonly goodP99: number;
  readonly shedP99: number;
  readonly within250: number;
  readonly connections: number;
}

/** One load at one factor. */
interface Run {
  readonly load: Load;
  readonly factor: number;
  readonly capacity: number;
  /** The goodput that must be reached, a second. */
  readonly wanted: number;
  readonly seconds: number;
  readonly main: Flow;
  readonly beside: Flow;
  /** The same load on a cless that refuses everything; missing where the app sets the limit. */
  readonly refused?: Flow;
  /** Beyond what there was before the first load. */
  readonly growthMb: number;
}

/** What is answered, and how soon, when more requests come than can be answered. */
export async function overload({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const sender = await GoSender.build("overload/sender", folder, signal);
  await using refusing = await Refusing.start(docker, sender, folder, signal);
  const refusalMicros = await refusing.cost();
  note(`a bare refusal takes ${refusalMicros.toFixed(1)} µs`);
  const log = `${folder}/cless.log`;
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal, { log });
  const image = "bench-app-docker";
  for (const { service, template } of LOADS) await cless.deploy(service, { image, ...template });
  await cless.deploy("beside", { image });
  await cless.deploy("bystander", { image, liveness: { every: "2s" } });
  const send = (args: readonly string[], seconds: number) =>
    sender.run<Flow[]>(
      [`-address=${new URL(cless.url).host}`, `-seconds=${seconds}`, ...args],
      (seconds + 60) * 1000,
      signal,
    );
  const { pid } = cless.program;
  const before = await containersOf(cless);
  const seconds = options.quick ? 3 : 20;
  const measured = options.quick ? 1 : 3;
  await send([`-closed=${LOADS[1].service}.localhost=64`], measured); // the code gets compiled
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const beforeMb = await residentMb(pid);
  const runs: Run[] = [];
  const many = { perS: 0, micros: 0, p99: 0, refused: 0 };
  for (const load of LOADS) {
    const host = `${load.service}.localhost`;
    let [capacity, micros] = [0, 0];
    for (const connections of load.name === "app-bound" ? [APP_CONNECTIONS] : CONNECTIONS) {
      const cpu = await cpuMicros(pid);
      const [flow] = await send([`-closed=${host}=${connections}`, `-path=${load.path}`], measured);
      if (flow!.good / measured <= capacity) continue;
      capacity = flow!.good / measured;
      micros = (await cpuMicros(pid) - cpu) / flow!.good;
    }
    if (load.name === "cless-bound") {
      const cpu = await cpuMicros(pid);
      const [flow] = await send([`-closed=${host}=${OPEN_CONNECTIONS}`], measured);
      many.perS = flow!.good / measured;
      many.micros = (await cpuMicros(pid) - cpu) / flow!.good;
      many.p99 = flow!.goodP99;
      many.refused = flow!.shed;
      await new Promise((resolve) => setTimeout(resolve, 3000)); // an overload would be over
    }
    const refusal = refusalMicros / micros;
    note(`${load.name}: capacity ${capacity.toFixed(0)}/s, ${micros.toFixed(1)} µs each, s = ${refusal.toFixed(2)}`);
    for (const factor of FACTORS) {
      const share = load.name === "app-bound" ? 0.8 : 0.85 * Math.max(0, 1 - factor * refusal) / (1 - refusal);
      const open = `-open=${host}=${Math.round(factor * capacity)},beside.localhost=${BESIDE_PER_S}`;
      const [main, beside] = await send([open, `-path=${load.path}`], seconds);
      await new Promise((resolve) => setTimeout(resolve, options.quick ? 1000 : 10_000));
      const growthMb = await residentMb(pid) - beforeMb;
      const refused = load.name === "cless-bound"
        ? await refusing.load(Math.round(factor * capacity), options.quick ? 1 : REFUSING_S)
        : undefined;
      runs.push({
        ...{ load, factor, capacity, wanted: share * capacity, seconds, main: main!, beside: beside!, growthMb },
        ...(refused === undefined ? {} : { refused }),
      });
      note(`${load.name} ×${factor}: ${(main!.good / seconds).toFixed(0)}/s answered`);
    }
  }
  const after = await containersOf(cless);
  const verdicts = (await Deno.readTextFile(log)).match(/instance does not answer/g)?.length ?? 0;
  return {
    tables: [overloadTable(runs)],
    findings: [
      {
        what: `overload: a closed loop over ${OPEN_CONNECTIONS} connections, cless-bound`,
        value: `${many.perS.toFixed(0)}/s, ${many.micros.toFixed(1)} µs each, p99 ${many.p99.toFixed(0)} ms, ` +
          `${many.refused} refused`,
      },
      ...runs.flatMap(findingsOf),
      {
        what: "overload: containers replaced, apps taken for dead",
        value: `${before.filter((id) => !after.includes(id)).length}, ${verdicts}`,
        bar: "0, 0",
        met: before.every((id) => after.includes(id)) && verdicts === 0,
        correctness: true,
      },
    ],
  };
}

/** A cless that may have one request in flight, and has it, so that it refuses all others. */
class Refusing implements AsyncDisposable {
  readonly #cless: ClessUnderTest;
  readonly #sender: GoSender;
  readonly #signal: AbortSignal;
  readonly #held: AbortController;
  readonly #client: HttpClient;

  private constructor(
    cless: ClessUnderTest,
    sender: GoSender,
    client: HttpClient,
    held: AbortController,
    signal: AbortSignal,
  ) {
    this.#cless = cless;
    this.#sender = sender;
    this.#client = client;
    this.#held = held;
    this.#signal = signal;
  }

  static async start(
    docker: Bench["docker"],
    sender: GoSender,
    folder: string,
    signal: AbortSignal,
  ): Promise<Refusing> {
    const cless = await ClessUnderTest.start(docker, `${folder}/refusing`, signal, { flags: ["--max-in-flight=1"] });
    const client = new HttpClient();
    await cless.deploy("slow", { image: "bench-app-docker", requestTimeout: "1h" });
    checkAnswer(await client.ask(cless.url, { host: "slow.localhost", signal }), "cless");
    const held = new AbortController();
    const kept = AbortSignal.any([signal, held.signal]);
    // It outlives the scenario.
    client.ask(`${cless.url}?work=3600000`, { host: "slow.localhost", signal: kept }).catch(() => {});
    return new Refusing(cless, sender, client, held, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held.abort();
    this.#client[Symbol.dispose]();
    await this.#cless[Symbol.asyncDispose]();
  }

  /** The processor time of a refused request, µs. */
  async cost(): Promise<number> {
    const closed = `-closed=slow.localhost=${OPEN_CONNECTIONS}`;
    await this.#send(closed, 1);
    const cpu = await cpuMicros(this.#cless.program.pid);
    const flow = await this.#send(closed, 2);
    return (await cpuMicros(this.#cless.program.pid) - cpu) / flow.shed;
  }

  /** What becomes of an open loop. */
  load(perS: number, seconds: number): Promise<Flow> {
    return this.#send(`-open=slow.localhost=${perS}`, seconds);
  }

  async #send(load: string, seconds: number): Promise<Flow> {
    const args = [`-address=${new URL(this.#cless.url).host}`, load, `-seconds=${seconds}`];
    const [flow] = await this.#sender.run<Flow[]>(args, (seconds + 60) * 1000, this.#signal);
    if (flow!.shed === 0 || flow!.good > 0) throw new BenchError(`${flow!.good} of ${flow!.begun} were not refused`);
    return flow!;
  }
}

async function containersOf(cless: ClessUnderTest): Promise<string[]> {
  return (await cless.instances()).map(({ id }) => id);
}

function overloadTable(runs: readonly Run[]): string {
  const rows = runs.map(({ beside, capacity, factor, growthMb, load, main, refused, seconds, wanted }) => [
    `${load.name}, ×${factor}`,
    `${capacity.toFixed(0)}/s`,
    `${(main.good / seconds).toFixed(0)}/s`,
    `${wanted.toFixed(0)}/s`,
    `${main.goodP50.toFixed(0)} ms`,
    `${main.goodP99.toFixed(0)} ms`,
    `${(main.shed / seconds).toFixed(0)}/s`,
    `${main.shedP99.toFixed(0)} ms`,
    refused === undefined ? "" : `${refused.shedP99.toFixed(0)} ms`,
    `${main.tooLate + main.failed}`,
    `${main.connections}`,
    `${(100 * beside.within250 / beside.begun).toFixed(1)}%`,
    `${growthMb.toFixed(0)} MB`,
  ]);
  const head = [
    "overload",
    "capacity",
    "answered",
    "bar",
    "p50",
    "p99",
    "refused",
    "p99 of refusals",
    "p99 if all are refused",
    "others",
  ];
  return table([...head, "connections", "beside: within 250 ms", "memory"], rows);
}

function findingsOf({ beside, factor, growthMb, load, main, refused, seconds, wanted }: Run): Finding[] {
  const what = `overload ${load.name} ×${factor}`;
  // If refusing all takes longer, the machine cannot do what is asked for: sender, cless and app share its processors.
  const isPossible = refused === undefined || refused.shedP99 <= MOST_P99_MS;
  const goodput = main.good / seconds;
  return [
    {
      what: `${what}: answered`,
      value: `${goodput.toFixed(0)}/s`,
      bar: `≥ ${wanted.toFixed(0)}/s`,
      met: goodput >= wanted,
    },
    {
      what: `${what}: p99 of what is answered`,
      value: `${main.goodP99.toFixed(0)} ms`,
      bar: isPossible ? `≤ ${MOST_P99_MS} ms` : `none: ${refused!.shedP99.toFixed(0)} ms if all are refused`,
      ...(isPossible ? { met: main.goodP99 <= MOST_P99_MS } : {}),
    },
    {
      what: `${what}: answers but the app's and 503 overloaded`,
      value: `${main.failed + beside.failed} ${main.failure || beside.failure}`.trim(),
      bar: "0",
      met: main.failed + beside.failed === 0,
      correctness: true,
    },
    {
      what: `${what}: a warm service beside, answered within 250 ms`,
      value: `${(100 * beside.within250 / beside.begun).toFixed(1)}%`,
      bar: `≥ ${100 * BESIDE_SHARE}%`,
      met: beside.within250 >= BESIDE_SHARE * beside.begun,
    },
    {
      what: `${what}: memory 10 s later`,
      value: `+${growthMb.toFixed(0)} MB`,
      bar: `≤ ${MOST_GROWTH_MB} MB`,
      met: growthMb <= MOST_GROWTH_MB,
    },
  ];
}
