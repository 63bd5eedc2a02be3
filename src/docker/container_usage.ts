import { logger } from "../base/log.ts";
import { grep } from "../base/machine.ts";
import type { MemoryUse } from "../pool/launcher.ts";
import type { EngineApi, ListedContainer } from "./engine_api.ts";

const log = logger("memory");

/**
 * The folders of a container's memory figures in control groups: with version 2 or 1, managed by systemd or by the
 * engine itself. https://docs.docker.com/engine/containers/runmetrics/
 */
const LAYOUTS: readonly ((engineId: string) => string)[] = [
  (id) => `/sys/fs/cgroup/system.slice/docker-${id}.scope`,
  (id) => `/sys/fs/cgroup/docker/${id}`,
  (id) => `/sys/fs/cgroup/memory/docker/${id}`,
  (id) => `/sys/fs/cgroup/memory/system.slice/docker-${id}.scope`,
];

/** The memory in use, in version 2 and version 1. */
const USAGE = ["memory.current", "memory.usage_in_bytes"];
/** The swap in use, in version 2. With version 1, the file `memory.stat` has it. */
const SWAP = "memory.swap.current";
/** The part that the kernel can reclaim. It is not counted, as in `docker stats`. */
const RECLAIMABLE = /^(?:total_)?inactive_file (\d+)$/;
const SWAPPED = /^(?:total_)?swap (\d+)$/;

/** Measures the memory of one owner's containers. Reads the kernel's files; if there are none, asks the engine. */
export class ContainerMemory {
  readonly #api: Pick<EngineApi, "containers" | "memory">;
  readonly #owner: string;
  #layouts = LAYOUTS;
  #warned = false;

  constructor(api: Pick<EngineApi, "containers" | "memory">, owner: string) {
    this.#api = api;
    this.#owner = owner;
  }

  /**
   * @returns By container name, without containers whose memory is unknown.
   * @throws {EngineError} When the engine does not list the containers.
   */
  async read(): Promise<ReadonlyMap<string, MemoryUse>> {
    const containers = (await this.#api.containers({ owner: this.#owner }))
      .filter(({ state }) => state === "running" || state === "paused");
    if (containers.length === 0) return new Map();
    const fromKernel = await this.#readKernelFiles(containers);
    if (fromKernel.size > 0) return fromKernel;
    const byEngineId = await this.#api.memory(containers.map(({ engineId }) => engineId));
    if (byEngineId.size === 0 && !this.#warned) {
      this.#warned = true;
      log.warning("this machine does not tell how much memory containers use; the memory budget has no effect");
    }
    return new Map(containers.flatMap(({ engineId, id }) => {
      const bytes = byEngineId.get(engineId);
      return bytes === undefined ? [] : [[id, { bytes }]];
    }));
  }

  /** Reads the kernel's files with one `grep` for all containers: Deno itself needs all permissions for them. */
  async #readKernelFiles(containers: readonly ListedContainer[]): Promise<Map<string, MemoryUse>> {
    const folders = new Map(
      this.#layouts.flatMap((layout) =>
        containers.map(({ engineId, id }) => [layout(engineId), { id, layout }] as const)
      ),
    );
    const files = [...folders.keys()].flatMap((folder) =>
      [...USAGE, SWAP, "memory.stat"].map((name) => `${folder}/${name}`)
    );
    const used = new Map<string, number>();
    const reclaimable = new Map<string, number>();
    const swapped = new Map<string, number>();
    let layouts = LAYOUTS; // if nothing is found, the next call tries all of them again
    for (const { file, line } of await grep("^[0-9]+$|^(total_)?(inactive_file|swap) ", files)) {
      const at = file.lastIndexOf("/");
      const folder = folders.get(file.slice(0, at));
      if (folder === undefined) continue;
      layouts = [folder.layout];
      const bytes = RECLAIMABLE.exec(line)?.[1];
      // In version 1, the line with "total_" is the right one, and comes last.
      const swap = SWAPPED.exec(line)?.[1];
      const name = file.slice(at + 1);
      if (bytes !== undefined) reclaimable.set(folder.id, Number(bytes));
      else if (swap !== undefined) swapped.set(folder.id, Number(swap));
      else if (USAGE.includes(name)) used.set(folder.id, Number(line));
      else if (name === SWAP) swapped.set(folder.id, Number(line));
    }
    this.#layouts = layouts;
    return new Map([...used].map(([id, usedBytes]) => {
      const bytes = Math.max(0, usedBytes - (reclaimable.get(id) ?? 0));
      const swapBytes = swapped.get(id);
      return [id, swapBytes === undefined ? { bytes } : { bytes, swapBytes }];
    }));
  }
}

/** The files of a container's processor time, in the same cases as {@linkcode LAYOUTS}. */
const PROCESSOR_FILES: readonly ((engineId: string) => string)[] = [
  (id) => `/sys/fs/cgroup/system.slice/docker-${id}.scope/cpu.stat`,
  (id) => `/sys/fs/cgroup/docker/${id}/cpu.stat`,
  (id) => `/sys/fs/cgroup/cpuacct/docker/${id}/cpuacct.usage`,
  (id) => `/sys/fs/cgroup/cpuacct/system.slice/docker-${id}.scope/cpuacct.usage`,
];
/** The line with version 2, in microseconds. With version 1, the file has only a number of nanoseconds. */
const PROCESSOR_USAGE = /^usage_usec (\d+)$/;

/**
 * The processor time that a container has used, ns; `undefined` if unknown. Reads the kernel's files; if there are
 * none, asks the engine.
 */
export async function processorTime(
  api: Pick<EngineApi, "processorTime">,
  engineId: string,
): Promise<number | undefined> {
  const [found] = await grep("^(usage_usec )?[0-9]+$", PROCESSOR_FILES.map((file) => file(engineId)));
  if (found === undefined) return await api.processorTime(engineId);
  const microseconds = PROCESSOR_USAGE.exec(found.line)?.[1];
  return microseconds === undefined ? Number(found.line) : 1000 * Number(microseconds);
}
