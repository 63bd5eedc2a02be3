import { containerCgroups, type Folders } from "../../src/docker/freezer/cgroups.ts";
import { LABEL } from "../../src/docker/container_spec.ts";
import type { ClessUnderTest, Instance } from "../bench/support/cless_under_test.ts";
import { docker } from "../support/docker.ts";
import type { Tally } from "./tally.ts";

const INTERVAL_MS = 1000;
/** What lasts longer than this does not end by itself: the kernel's state and that of cless differ, or a lease is lost. */
const DIFFERS_MS = 6000;
/** The same for a container without an instance, which cless looks for only now and then. */
const UNKNOWN_MS = 30_000;
/** So long after its last request, a service's leases may still be open. */
const RELEASED_MS = 1000;

/** What the engine and the kernel say of a container. */
export interface ContainerState {
  /** Its name. */
  readonly id: string;
  /** Whether all its processes are stopped; `undefined` if none runs. */
  readonly isFrozen: boolean | undefined;
}

/** Something that may not stay so. */
export interface Wrong {
  readonly what: string;
  readonly id: string;
  /** It is a failure if it lasts longer than this. */
  readonly mayLastMs: number;
}

/**
 * What does not fit together, of what cless says and what is there.
 *
 * @param isQuiet Whether nobody has a request at a service.
 */
export function compare(
  instances: readonly Pick<Instance, "id" | "inFlight" | "service" | "state">[],
  containers: readonly ContainerState[],
  isQuiet: (service: string) => boolean,
): Wrong[] {
  const wrongs: Wrong[] = [];
  const known = new Map(instances.map((instance) => [instance.id, instance]));
  for (const { id, isFrozen } of containers) {
    const state = known.get(id)?.state;
    const sleeps = state === "paused" || state === "hibernated";
    if (state === undefined) wrongs.push({ id, what: "a container without an instance", mayLastMs: UNKNOWN_MS });
    if (isFrozen === true && !sleeps) {
      wrongs.push({ id, what: `frozen, and cless says ${state ?? "nothing"}`, mayLastMs: DIFFERS_MS });
    }
    if (isFrozen === false && sleeps) {
      wrongs.push({ id, what: `not frozen, and cless says ${state}`, mayLastMs: DIFFERS_MS });
    }
  }
  for (const { id, inFlight, service } of instances) {
    if (inFlight > 0 && isQuiet(service)) {
      wrongs.push({ id, what: "a lease without a request", mayLastMs: DIFFERS_MS });
    }
  }
  return wrongs;
}

/** Notes what is wrong at each look, and tells what has lasted too long. */
export class Endurance {
  /** When each wrong was first seen, or `Infinity` once it has been told; clock ms. */
  #since = new Map<string, number>();

  /** @returns What has just become a failure. */
  look(wrongs: readonly Wrong[], now: number): string[] {
    const before = this.#since;
    this.#since = new Map();
    return wrongs.flatMap(({ id, mayLastMs, what }) => {
      const key = `${id}: ${what}`;
      const since = before.get(key) ?? now;
      const isTooLong = now - since > mayLastMs;
      this.#since.set(key, isTooLong ? Infinity : since);
      return isTooLong ? [key] : [];
    });
  }
}

/** Holds what cless says against the engine's containers and the kernel's freezer, until the signal. */
export async function audit(cless: ClessUnderTest, tally: Tally, signal: AbortSignal): Promise<void> {
  let endurance = new Endurance();
  let [looks, goodLooks] = [0, 0];
  while (!signal.aborted) {
    looks++;
    try {
      const isQuiet = (service: string) => tally.quietMs(service) > RELEASED_MS;
      const containers = await readContainers(cless.owner);
      const instances = await cless.instances();
      for (const failure of endurance.look(compare(instances, containers, isQuiet), performance.now())) {
        tally.fail(`${new Date().toISOString()} ${failure}`);
      }
      goodLooks++;
    } catch {
      endurance = new Endurance(); // cless or the engine is away
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  if (goodLooks < looks / 4) tally.fail(`the audit could look only ${goodLooks} times of ${looks}`);
}

/** The containers of an owner. @throws {Error} While the engine is away. */
export async function readContainers(owner: string): Promise<ContainerState[]> {
  const filter = `--filter=label=${LABEL.owner}=${owner}`;
  const lines = await docker("ps", "--all", "--no-trunc", filter, "--format={{.ID}} {{.Names}}");
  const folders = await containerCgroups();
  return await Promise.all(
    lines.split("\n").filter(Boolean).map(async (line) => {
      const [engineId = "", id = ""] = line.split(" ");
      return { id, isFrozen: await isFrozen(folders.get(engineId)) };
    }),
  );
}

async function isFrozen(folders: Folders | undefined): Promise<boolean | undefined> {
  if (folders === undefined) return undefined;
  const read = (file: string) => Deno.readTextFile(`${folders.freezer}/${file}`).catch(() => undefined);
  const state = await read("freezer.state") ?? await read("cgroup.freeze");
  return state === undefined ? undefined : /^(FROZEN|FREEZING|1)$/.test(state.trim());
}
