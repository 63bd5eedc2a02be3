import { docker } from "../support/docker.ts";
import type { Program } from "../support/program.ts";
import type { Random } from "../support/random.ts";
import type { Tally } from "./tally.ts";
import { pauseFor } from "./traffic.ts";

/** What people and the machine do to containers. */
const HARM = [["kill"], ["rm", "--force"], ["stop", "--time=0"], ["restart", "--time=0"], ["pause"]] as const;

/** What the trouble-makers work with. */
export interface ChaosOptions {
  readonly program: Program;
  readonly services: readonly string[];
  readonly random: Random;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** How often something happens on average, ms. */
  readonly every: number;
}

/** Does harm to containers of any service; resolves with how often. */
export async function harmContainers({ every, program, random, signal, tally }: ChaosOptions): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    await pauseFor(random.below(2 * every), signal);
    const instances = await program.api("/v1/instances");
    if (signal.aborted || instances.length === 0) continue;
    const { id, service } = random.pick(instances);
    const done = tally.harming(String(service));
    await docker(...random.pick(HARM), String(id)).catch(() => {}); // it has gone by itself
    done();
    count++;
  }
  return count;
}

/** Deploys, wakes and puts to sleep; resolves with how many revisions were made. */
export async function changeServices(options: ChaosOptions & { template: object }): Promise<number> {
  const { every, program, random, services, signal, tally, template } = options;
  let count = 0;
  while (!signal.aborted) {
    await pauseFor(random.below(2 * every), signal);
    if (signal.aborted) break;
    const service = random.pick(services);
    const began = performance.now();
    const verb = random.pick(["deploy", "deploy", "wake", "sleep"]);
    const { status, text } = verb === "deploy"
      ? await program.send("PUT", `/v1/services/${service}`, { ...template, env: { MADE: `${count++}` } })
      : await program.send("POST", `/v1/services/${service}/${verb}`);
    const excused = tally.wasHarmed(service, began, performance.now());
    if (status >= 300 && !excused) tally.fail(`${verb}: ${status} ${text.slice(0, 200)}`);
  }
  return count;
}
