import { logger } from "../base/log.ts";
import { grep } from "../base/machine.ts";
import { defined } from "../model/defined.ts";
import type { Usage } from "../pool/launcher.ts";
import type { EngineApi, ListedContainer } from "./engine_api.ts";

const log = logger("memory");

/** The folders of a container's memory and processor time in control groups. */
interface Layout {
  memory(engineId: string): string;
  processor(engineId: string): string;
}

/**
 * With version 2 or 1, managed by systemd or by the engine itself. https://docs.docker.com/engine/containers/runmetrics/
 */
const LAYOUTS: readonly Layout[] = ["/system.slice/docker-ID.scope", "/docker/ID"].flatMap((path) => {
  const under = (root: string) => (engineId: string) => root + path.replace("ID", engineId);
  return [
    { memory: under("/sys/fs/cgroup"), processor: under("/sys/fs/cgroup") },
    { memory: under("/sys/fs/cgroup/memory"), processor: under("/sys/fs/cgroup/cpuacct") },
  ];
});

/** What a line of these files tells. */
type Figure = "used" | "reclaimable" | "swapped" | "swapCurrent" | "swapCached" | "processorNs";

/** The files of a memory folder. In version 1, `memory.stat` has the swap. */
const MEMORY_FILES = ["memory.current", "memory.usage_in_bytes", "memory.swap.current", "memory.stat"];
const PROCESSOR_FILES = ["cpu.stat", "cpuacct.usage"];
/** The lines that matter, as a POSIX extended regular expression. */
const LINES = "^[0-9]+$|^((total_)?(inactive_file|swap)|swapcached|usage_usec) [0-9]+$";

/** Measures what one owner's containers use. Reads the kernel's files; if there are none, asks the engine. */
export class ContainerUsage {
  readonly #api: Pick<EngineApi, "containers" | "usage">;
  readonly #owner: string;
  #layouts = LAYOUTS;
  #warned = false;

  constructor(api: Pick<EngineApi, "containers" | "usage">, owner: string) {
    this.#api = api;
    this.#owner = owner;
  }

  /**
   * @returns By container name, without containers whose memory is unknown.
   * @throws {EngineError} When the engine does not list the containers.
   */
  async read(): Promise<ReadonlyMap<string, Usage>> {
    const containers = (await this.#api.containers({ owner: this.#owner }))
      .filter(({ state }) => state === "running" || state === "paused");
    if (containers.length === 0) return new Map();
    const fromKernel = await this.#readKernelFiles(containers);
    if (fromKernel.size > 0) return fromKernel;
    const byEngineId = await this.#api.usage(containers.map(({ engineId }) => engineId));
    if (byEngineId.size === 0 && !this.#warned) {
      this.#warned = true;
      log.warning("this machine does not tell how much memory containers use; the memory budget has no effect");
    }
    return new Map(containers.flatMap(({ engineId, id }) => {
      const usage = byEngineId.get(engineId);
      return usage === undefined ? [] : [[id, usage]];
    }));
  }

  /** Reads the kernel's files with one `grep` for all containers: Deno itself needs all permissions for them. */
  async #readKernelFiles(containers: readonly ListedContainer[]): Promise<Map<string, Usage>> {
    const folders = new Map(
      this.#layouts.flatMap((layout) =>
        containers.flatMap(({ engineId, id }) =>
          [layout.memory(engineId), layout.processor(engineId)].map((folder) => [folder, { id, layout }] as const)
        )
      ),
    );
    const files = this.#layouts.flatMap((layout) =>
      containers.flatMap(({ engineId }) => [
        ...MEMORY_FILES.map((name) => `${layout.memory(engineId)}/${name}`),
        ...PROCESSOR_FILES.map((name) => `${layout.processor(engineId)}/${name}`),
      ])
    );
    const found = new Map<string, Partial<Record<Figure, number>>>();
    let layouts = LAYOUTS; // if nothing is found, the next call tries all of them again
    for (const { file, line } of await grep(LINES, files)) {
      const at = file.lastIndexOf("/");
      const folder = folders.get(file.slice(0, at));
      const figure = figureOf(file.slice(at + 1), line);
      if (folder === undefined || figure === undefined) continue;
      layouts = [folder.layout];
      const figures = found.get(folder.id) ?? {};
      figures[figure[0]] = figure[1];
      found.set(folder.id, figures);
    }
    this.#layouts = layouts;
    return new Map([...found].flatMap(([id, figures]) => {
      const { used, reclaimable = 0, swapped, swapCurrent, swapCached = 0, processorNs } = figures;
      if (used === undefined) return [];
      // In version 2, what has come back counts as swap too until the kernel needs the place.
      const swapBytes = swapped ?? (swapCurrent && Math.max(0, swapCurrent - swapCached));
      return [[id, defined({ bytes: Math.max(0, used - reclaimable), swapBytes, processorNs })]];
    }));
  }
}

/** The figure in a line of a file. Of the lines of version 1, the one with "total_" is the right one, and comes last. */
function figureOf(file: string, line: string): [Figure, number] | undefined {
  const [name, value] = line.includes(" ") ? line.split(" ") : [file, line];
  switch (name!.replace("total_", "")) {
    case "memory.current":
    case "memory.usage_in_bytes":
      return ["used", Number(value)];
    case "inactive_file": // the kernel can free it at once; `docker stats` does not count it either
      return ["reclaimable", Number(value)];
    case "memory.swap.current":
      return ["swapCurrent", Number(value)];
    case "swapcached":
      return ["swapCached", Number(value)];
    case "swap":
      return ["swapped", Number(value)];
    case "cpuacct.usage":
      return ["processorNs", Number(value)];
    case "usage_usec":
      return ["processorNs", 1000 * Number(value)];
    default:
      return undefined;
  }
}

/**
 * The processor time that a container has used, ns; `undefined` if unknown. Reads the kernel's files; if there are
 * none, asks the engine.
 */
export async function processorTime(api: Pick<EngineApi, "usage">, engineId: string): Promise<number | undefined> {
  const files = LAYOUTS.flatMap((layout) => PROCESSOR_FILES.map((name) => `${layout.processor(engineId)}/${name}`));
  for (const { file, line } of await grep(LINES, files)) {
    const figure = figureOf(file.slice(file.lastIndexOf("/") + 1), line);
    if (figure?.[0] === "processorNs") return figure[1];
  }
  return (await api.usage([engineId])).get(engineId)?.processorNs;
}
