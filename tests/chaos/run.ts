import { DockerCommand } from "../../src/docker/command.ts";
import { messageOf } from "../../src/base/errors.ts";
import { BenchError } from "../bench/support/errors.ts";
import { describeMachine } from "../bench/support/machine.ts";
import { howToInstall, TOOLS, versionOf } from "../bench/support/tool.ts";
import { docker } from "../support/docker.ts";
import { Harms } from "../support/harms.ts";
import { mayMount } from "../support/mounts.ts";
import { Random } from "../support/random.ts";
import { type Act, type Disruption, expect, type Need, usualFlows } from "./disruption.ts";
import { CHANGES } from "./disruptions/changes.ts";
import { CONTAINERS } from "./disruptions/containers.ts";
import { ENGINE } from "./disruptions/engine.ts";
import { LOAD } from "./disruptions/load.ts";
import { FAKETIME, PROCESS } from "./disruptions/process.ts";
import { STORE } from "./disruptions/store.ts";
import { Engine, mayStartEngine, pause } from "./engine.ts";
import { broken, findingsTable, judge, type Line, linesTable } from "./judge.ts";
import { buildImage, Stage, type Theatre } from "./stage.ts";
import { SWARM, swarmLine } from "./swarm/swarm.ts";
import { buildSender, Traffic } from "./traffic.ts";

/** All of them, in the order in which they happen. */
const DISRUPTIONS: readonly Disruption[] = [...CHANGES, ...PROCESS, ...CONTAINERS, ...ENGINE, ...STORE, ...LOAD];

/** The names of everything that can be done. */
export const NAMES: readonly string[] = [...DISRUPTIONS.map(({ name }) => name), SWARM];

/** What is to be done. */
export interface ChaosOptions {
  /** Some of {@linkcode NAMES}. */
  readonly only: readonly string[];
  readonly quick: boolean;
  readonly seed: number;
  /** The executable of cless; missing where it runs from source. */
  readonly executable: string | undefined;
  /** A file for what cless logs. */
  readonly log: string | undefined;
  /** Says how far it is. */
  readonly note: (line: string) => void;
}

/** How many good answers show that everything is at work. */
const WARM = 100;
const WARM_MS = 30_000;
/** A short run sends this share of the requests a second. */
const QUICK_SHARE = 0.5;
/** A short run needs so many times fewer requests. */
const QUICK_LEAST = 20;
/** What is still to come of a disruption shows within that. */
const SETTLE_MS = { whole: 1500, quick: 500 };
/** A stream, upload or WebSocket lasts at most this long in a short run. */
const QUICK_LASTS_MS = 1000;
/** The most that may be waited for requests that are missing, ms. */
const MORE_MS = 90_000;

/** Does one thing after the other, prints, and takes away what it has made; resolves with whether all was as required. */
export async function chaos(options: ChaosOptions, signal: AbortSignal): Promise<boolean> {
  const { executable, only, quick, seed } = options;
  if (await versionOf(TOOLS.go) === undefined) throw new BenchError(howToInstall(TOOLS.go));
  const folder = await Deno.makeTempDir({ prefix: "cless-chaos-" });
  await using made = new AsyncDisposableStack();
  made.defer(() => Deno.remove(folder, { recursive: true }));
  options.note("building the sender");
  const sender = await buildSender(folder, signal);
  const work = { folder, sender, signal };
  const lines: Line[] = [];
  const leftOut: string[] = [];
  if (only.some((name) => name !== SWARM)) await onOneMachine(work, options, lines, leftOut);
  if (only.includes(SWARM)) await onSwarm(work, options, lines, leftOut);
  const from = executable === undefined ? "cless from source" : "the executable of cless";
  console.log(linesTable(lines));
  if (lines.some(({ findings }) => findings.length > 0)) console.log(`\n${findingsTable(lines)}`);
  for (const line of leftOut) console.log(`\n${line}`);
  const machine = await describeMachine(new DockerCommand("docker"));
  console.log(`\n${machine}; ${from}; seed ${seed}${quick ? "; --quick" : ""}`);
  return lines.every(({ unmet }) => unmet.length === 0);
}

/** What a run is made with. */
interface Work {
  readonly folder: string;
  /** The sender's executable. */
  readonly sender: string;
  readonly signal: AbortSignal;
}

/** Disrupts one cless, its apps and its engine. */
async function onOneMachine(work: Work, options: ChaosOptions, lines: Line[], leftOut: string[]): Promise<void> {
  const { executable, log, note } = options;
  const { folder, sender, signal } = work;
  await using made = new AsyncDisposableStack();
  const engine = made.use(await startEngine(folder, note));
  const before = Deno.env.get("DOCKER_HOST");
  Deno.env.set("DOCKER_HOST", `unix://${engine.socket}`);
  made.defer(() => before === undefined ? Deno.env.delete("DOCKER_HOST") : Deno.env.set("DOCKER_HOST", before));
  const docker = new DockerCommand("docker");
  const theatre: Theatre = { engine, docker, folder, executable, log, signal, images: new Set() };
  made.defer(() => removeImages(theatre));
  note("building the app");
  await buildImage(theatre);
  const chosen = DISRUPTIONS.filter(({ name }) => options.only.includes(name));
  await using house = new House(theatre);
  for (const disruption of chosen) {
    signal.throwIfAborted();
    const missing = await whatIsMissing(disruption.needs ?? [], engine);
    if (missing !== undefined) {
      leftOut.push(`Left out: ${disruption.name}, ${missing}.`);
      continue;
    }
    const began = performance.now();
    const line = await perform(disruption, house, sender, options);
    lines.push(line);
    tell(line, began, note);
    if (line.unmet.length > 0) await house.leave();
  }
}

/** Disrupts three nodes of a Swarm. Their containers are the machine's engine's. */
async function onSwarm(work: Work, options: ChaosOptions, lines: Line[], leftOut: string[]): Promise<void> {
  if (Deno.uid() !== 0) {
    leftOut.push(`Left out: ${SWARM}, only root may have nodes.`);
    return;
  }
  const images = new Set<string>();
  const began = performance.now();
  try {
    const line = await swarmLine({ ...work, images }, options);
    lines.push(line);
    tell(line, began, options.note);
  } finally {
    await removeImages({ images });
  }
}

function tell({ name, sent, unmet }: Line, began: number, note: (line: string) => void): void {
  const verdict = unmet.length === 0 ? "met" : `MISSED: ${unmet.join("; ")}`;
  note(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s, ${sent} sent, ${verdict}`);
}

/** The cless that most disruptions share, as long as it is well. */
class House implements AsyncDisposable {
  readonly theatre: Theatre;
  #stage: Stage | undefined;

  constructor(theatre: Theatre) {
    this.theatre = theatre;
  }

  /** It, with its services as they were at the beginning. */
  async stage(): Promise<Stage> {
    try {
      await this.#stage?.reset();
    } catch {
      await this.leave(); // the line before has told why
    }
    return this.#stage ??= await Stage.start(this.theatre);
  }

  /** Ends it: the next one starts from nothing. */
  async leave(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    await stage?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}

/** Sends requests, disrupts, and judges. */
async function perform(disruption: Disruption, house: House, sender: string, options: ChaosOptions): Promise<Line> {
  const { theatre } = house;
  const { name, planned, requirement } = disruption;
  const note = (line: string) => options.note(`${name}: ${line}`);
  try {
    await disruption.prepare?.(theatre);
    if (disruption.stage === undefined) return await onStage(await house.stage());
    const settings = typeof disruption.stage === "function" ? disruption.stage(theatre) : disruption.stage;
    await using own = await Stage.start(theatre, settings);
    return await onStage(own);
  } catch (error) {
    theatre.signal.throwIfAborted();
    return broken(name, disruption, messageOf(error));
  }

  async function onStage(stage: Stage): Promise<Line> {
    const share = options.quick ? QUICK_SHARE : 1;
    const flows = (disruption.flows?.(options.quick) ?? usualFlows())
      .map((flow) => flow.rate === undefined ? flow : { ...flow, rate: flow.rate * share })
      .map((flow) =>
        options.quick && flow.ms !== undefined ? { ...flow, ms: Math.min(flow.ms, QUICK_LASTS_MS) } : flow
      );
    let leastSent = (disruption.leastSent ?? (planned ? 10_000 : 2000)) / (options.quick ? QUICK_LEAST : 1);
    await using traffic = Traffic.start(sender, stage.cless.url, flows, options.seed);
    const act: Act = {
      ...theatre,
      stage,
      traffic,
      note,
      sender,
      seed: options.seed,
      quick: options.quick,
      random: new Random(options.seed),
      harms: new Harms(),
      findings: [],
      afterwards: [],
    };
    await traffic.until("good answers before anything happens", ({ good }) => good >= WARM, WARM_MS);
    try {
      await disruption.run(act);
      await pause(options.quick ? SETTLE_MS.quick : SETTLE_MS.whole);
      await traffic.until(`${leastSent} requests`, ({ sent }) => sent >= leastSent, MORE_MS);
    } catch (error) {
      theatre.signal.throwIfAborted();
      expect(act, "what was to be done", messageOf(error), "done", false);
      leastSent = 0; // there would have been more
    }
    const sent = await traffic.finish();
    const findings = [...act.findings, ...act.afterwards.flatMap((ask) => ask(sent))];
    return judge(name, sent, { planned, requirement, harms: act.harms, leastSent, findings, quick: options.quick });
  }
}

/** An engine for this run alone, where this user may start one and there is the program. */
async function startEngine(folder: string, note: (line: string) => void): Promise<Engine> {
  if (await mayStartEngine()) return await Engine.start(`${folder}/engine`);
  note("without root and dockerd it takes the engine of the machine");
  return Engine.ofMachine(folder);
}

async function whatIsMissing(needs: readonly Need[], engine: Engine): Promise<string | undefined> {
  for (const need of needs) {
    if (need === "own engine" && !engine.isOwn) {
      return "the machine's engine is not to be harmed, and only root may start another";
    }
    if (need === "mount" && !mayMount) return "only root may mount a disk";
    if (need === "prlimit" && !await hasCommand("prlimit")) {
      return "not installed: prlimit (apt-get install util-linux)";
    }
    if (need === "faketime" && !await Deno.stat(FAKETIME).then(() => true, () => false)) {
      return "not installed: faketime (apt-get install faketime)";
    }
  }
  return undefined;
}

async function hasCommand(name: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).output()).success;
}

async function removeImages({ images }: Pick<Theatre, "images">): Promise<void> {
  for (const id of images) await docker("rmi", "--force", id).catch(() => {}); // a container of another run may need it
}
