import type { ClessUnderTest } from "../bench/support/cless_under_test.ts";
import type { Engine } from "../chaos/engine.ts";
import { docker } from "../support/docker.ts";
import type { Random } from "../support/random.ts";
import type { SwapFile } from "../support/swap_file.ts";
import type { Tally } from "./tally.ts";
import { pauseFor } from "./traffic.ts";

/** What people and the machine do to containers. */
const HARM = [["kill"], ["rm", "--force"], ["stop", "--time=0"], ["restart", "--time=0"], ["pause"]] as const;
/** So long at most cless, or the engine, is away before it is started again, ms. */
const MAX_AWAY_MS = 2000;

/** What the trouble-makers work with. */
export interface ChaosOptions {
  readonly cless: ClessUnderTest;
  readonly random: Random;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** How often something happens on average, ms. */
  readonly every: number;
}

/** Does harm to containers of any service; resolves with how often. */
export async function harmContainers({ cless, every, random, signal, tally }: ChaosOptions): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    await pauseFor(random.below(2 * every), signal);
    const instances = await cless.instances().catch(() => []); // it may have been killed
    if (signal.aborted || instances.length === 0) continue;
    const { id, service } = random.pick(instances);
    const done = tally.harming(service);
    await docker(...random.pick(HARM), id).catch(() => {}); // it has gone by itself, or the engine is away
    done();
    count++;
  }
  return count;
}

/** Deploys, wakes and puts to sleep; resolves with how many revisions were made. @param templates By service. */
export async function changeServices(
  { cless, every, random, signal, tally, templates }: ChaosOptions & {
    readonly templates: ReadonlyMap<string, object>;
  },
): Promise<number> {
  let [count, made] = [0, 0];
  while (!signal.aborted) {
    await pauseFor(random.below(2 * every), signal);
    if (signal.aborted) break;
    const [service, template] = random.pick([...templates]);
    const began = performance.now();
    const verb = random.pick(["deploy", "deploy", "wake", "sleep"]);
    const asked = verb === "deploy"
      ? cless.askAdmin(`/v1/services/${service}`, { method: "PUT", json: { ...template, env: { MADE: `${count++}` } } })
      : cless.askAdmin(`/v1/services/${service}/${verb}`, { method: "POST" });
    const failure = await asked.then(
      ({ body, status }) => status < 300 ? undefined : `${status} ${body.slice(0, 200)}`,
      (error) => (error as Error).message,
    );
    if (failure === undefined && verb === "deploy") made++;
    if (failure !== undefined && !tally.isChangeExcused(service, began, performance.now())) {
      tally.fail(`${verb}: ${failure}`);
    }
  }
  return made;
}

/** How often something was away, and for how long at most. */
interface Absences {
  readonly count: number;
  readonly longestMs: number;
}

/** Kills cless or the engine, or ends the engine, and starts it again; resolves with what was done how often. */
export async function restart(
  { cless, engine, every, killsUntil, random, signal, tally }: ChaosOptions & {
    readonly engine: Engine;
    /** After that time cless itself is not killed any more, the clock's ms. */
    readonly killsUntil: number;
  },
): Promise<ReadonlyMap<string, Absences>> {
  const absences = new Map<string, Absences>();
  for (;;) {
    await pauseFor(random.below(2 * every), signal);
    if (signal.aborted) return absences;
    const began = performance.now();
    const awayMs = random.below(MAX_AWAY_MS);
    const what = random.pick(["cless killed", "engine killed", "engine restarted"]);
    if (what === "cless killed") {
      if (performance.now() > killsUntil) continue;
      const done = tally.killing();
      await cless.kill();
      await pauseFor(awayMs, signal);
      cless.begin();
      await cless.untilReady(new AbortController().signal);
      done();
    } else {
      if (!engine.isOwn) continue;
      const done = tally.engineAway();
      await (what === "engine killed" ? engine.kill() : engine.end());
      await pauseFor(awayMs, signal);
      await engine.begin();
      done();
    }
    const { count, longestMs } = absences.get(what) ?? { count: 0, longestMs: 0 };
    absences.set(what, { count: count + 1, longestMs: Math.max(longestMs, performance.now() - began) });
  }
}

/** Takes the swap away and brings it back; resolves with how often. */
export async function moveSwap(
  swap: SwapFile,
  { every, random, signal, tally }: Pick<ChaosOptions, "every" | "random" | "signal" | "tally">,
): Promise<number> {
  for (let count = 0;; count++) {
    await pauseFor(random.below(2 * every), signal);
    if (signal.aborted) return count;
    try {
      await swap.off();
      await pauseFor(random.below(2 * every), signal);
      await swap.on();
    } catch (error) {
      tally.fail(`swap: ${(error as Error).message}`);
      return count;
    }
  }
}
