import { logger } from "../base/log.ts";
import type { ContainerList, Listed } from "./container_list.ts";
import type { EngineSocket } from "./engine_socket.ts";
import { grep } from "./machine.ts";

const log = logger("memory");
/** So many containers are asked for at once where each has to be asked for by itself. */
const AT_ONCE = 4;

/**
 * Where the kernel keeps what it knows of a container's memory, by how the engine makes control groups: with its own
 * hand or systemd's, in version 2 and 1 of them. https://docs.docker.com/engine/containers/runmetrics/
 */
const LAYOUTS: readonly ((engineId: string) => string)[] = [
  (id) => `/sys/fs/cgroup/system.slice/docker-${id}.scope`,
  (id) => `/sys/fs/cgroup/docker/${id}`,
  (id) => `/sys/fs/cgroup/memory/docker/${id}`,
  (id) => `/sys/fs/cgroup/memory/system.slice/docker-${id}.scope`,
];

/** How much is used, in versions 2 and 1. */
const USAGE = ["memory.current", "memory.usage_in_bytes"];
/** What of that is there only as long as nobody needs the room: it is not counted, as `docker stats` does not. */
const RECLAIMABLE = /^(?:total_)?inactive_file (\d+)$/;

/** What `/containers/{id}/stats` says, as far as it matters here. */
interface ApiStats {
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
}

/** How much memory the containers of one owner use. */
export class ContainerMemory {
  readonly #list: ContainerList;
  readonly #socket: EngineSocket | undefined;
  #layouts = LAYOUTS;
  #told = false;

  constructor(list: ContainerList, socket?: EngineSocket) {
    this.#list = list;
    this.#socket = socket;
  }

  /**
   * @returns Bytes by container name, without what the machine tells nothing about.
   * @throws {DockerError} When the engine refuses to list the containers.
   */
  async read(): Promise<ReadonlyMap<string, number>> {
    const containers = (await this.#list.read()).filter(({ state }) => state === "running" || state === "paused");
    if (containers.length === 0) return new Map();
    const found = await this.#ofKernel(containers);
    if (found.size > 0) return found;
    const told = await this.#ofEngine(containers);
    if (told.size === 0 && !this.#told) {
      this.#told = true;
      log.warning("this machine does not tell how much memory containers use; the memory budget has no effect");
    }
    return told;
  }

  /** One process reads for all containers: the files are the kernel's, and cless itself may not open them. */
  async #ofKernel(containers: readonly Listed[]): Promise<Map<string, number>> {
    const folders = new Map(
      this.#layouts.flatMap((layout) =>
        containers.map(({ engineId, id }) => [layout(engineId), { id, layout }] as const)
      ),
    );
    const files = [...folders.keys()].flatMap((folder) => [...USAGE, "memory.stat"].map((name) => `${folder}/${name}`));
    const used = new Map<string, number>();
    const reclaimable = new Map<string, number>();
    let layouts = LAYOUTS; // where nothing is found, something may have changed
    for (const { file, line } of await grep("^[0-9]+$|^(total_)?inactive_file ", files)) {
      const at = file.lastIndexOf("/");
      const folder = folders.get(file.slice(0, at));
      if (folder === undefined) continue;
      layouts = [folder.layout];
      const bytes = RECLAIMABLE.exec(line)?.[1];
      // In version 1 the line with "total_" comes last, and it is the one that counts.
      if (bytes !== undefined) reclaimable.set(folder.id, Number(bytes));
      else if (USAGE.includes(file.slice(at + 1))) used.set(folder.id, Number(line));
    }
    this.#layouts = layouts;
    return new Map([...used].map(([id, bytes]) => [id, Math.max(0, bytes - (reclaimable.get(id) ?? 0))]));
  }

  async #ofEngine(containers: readonly Listed[]): Promise<Map<string, number>> {
    const memory = new Map<string, number>();
    const left = [...containers];
    const ask = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const path = `/containers/${next.engineId}/stats?stream=false&one-shot=true`;
        const stats = await this.#socket?.get(path).catch(() => undefined); // it has ended, perhaps
        const bytes = usedOf(stats as ApiStats | undefined);
        if (bytes !== undefined) memory.set(next.id, bytes);
      }
    };
    if (this.#socket?.path !== undefined) await Promise.all(Array.from({ length: AT_ONCE }, ask));
    return memory;
  }
}

function usedOf({ memory_stats }: ApiStats = {}): number | undefined {
  if (memory_stats?.usage === undefined) return undefined;
  const { inactive_file, total_inactive_file } = memory_stats.stats ?? {};
  return Math.max(0, memory_stats.usage - (total_inactive_file ?? inactive_file ?? 0));
}
