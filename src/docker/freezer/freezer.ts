import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { logger } from "../../base/log.ts";
import { freezerFolders, frozenFolders } from "./cgroups.ts";
import type { Command, FreezerHelper } from "./helper.ts";

const log = logger("freezer");
/** If not all processes of a container have stopped within this time, they run again. */
const FREEZE_TIMEOUT_MS = 1000;
/** After a signal, a container is not frozen for this time: its app may be about to end. */
const SIGNAL_HOLDS_MS = 30_000;
/** The pause between two looks at processes that have not stopped yet. */
const LOOK_INTERVAL_MS = 2;

/** Where control groups are, and which are frozen. */
export interface Cgroups {
  folders(): Promise<ReadonlyMap<string, string>>;
  frozen(folders: readonly string[]): Promise<ReadonlySet<string>>;
}

type Helper = Pick<FreezerHelper, "ask" | "forget" | "prepare">;

const OF_THIS_MACHINE: Cgroups = { folders: freezerFolders, frozen: frozenFolders };

/**
 * Freezes containers by their control groups, without the engine: a thaw takes a tenth of the time. The engine goes on
 * to believe that they run. Version 1: https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html, version
 * 2: https://docs.kernel.org/admin-guide/cgroup-v2.html#core-interface-files
 */
export class Freezer {
  readonly #helper: Helper | undefined;
  readonly #freezes: boolean;
  readonly #clock: Clock;
  readonly #cgroups: Cgroups;
  /** The engine's id of each running container, by name. */
  readonly #engineIds = new Map<string, string>();
  /** The folder of a container's control group by name; `undefined` if it cannot be frozen here. */
  readonly #folders = new Map<string, string | undefined>();
  /** When each container was last sent a signal, clock ms. */
  readonly #signalled = new Map<string, number>();
  /** The names of the containers that are frozen, or being frozen. */
  readonly #frozen = new Set<string>();

  /**
   * @param helper Without one, nothing is frozen or thawed; but what an earlier process has frozen is found.
   * @param freezes Whether containers are to be frozen; what is frozen already is thawed all the same.
   */
  constructor(helper: Helper | undefined, freezes: boolean, clock: Clock, cgroups = OF_THIS_MACHINE) {
    this.#helper = helper;
    this.#freezes = freezes;
    this.#clock = clock;
    this.#cgroups = cgroups;
  }

  /** The containers that are frozen. */
  get frozen(): readonly string[] {
    return [...this.#frozen];
  }

  isFrozen(id: string): boolean {
    return this.#frozen.has(id);
  }

  /** Whether a container is frozen, and cannot be thawed here. */
  isStuck(id: string): boolean {
    return this.#frozen.has(id) && this.#folders.get(id) === undefined;
  }

  /** Notes the engine's id of a container that has started. */
  started(id: string, engineId: string): void {
    this.#folders.delete(id);
    this.#signalled.delete(id);
    this.#engineIds.set(id, engineId);
  }

  /**
   * Takes containers that the engine lists as running, by name with the engine's ids. Looks at those which are new
   * here: an earlier process may have frozen them.
   */
  async found(containers: ReadonlyMap<string, string>): Promise<void> {
    const added = [...containers].filter(([id]) => !this.#engineIds.has(id));
    if (added.length === 0) return;
    const folders = await this.#cgroups.folders();
    const known = added.flatMap(([id, engineId]) => {
      this.#engineIds.set(id, engineId);
      const folder = folders.get(engineId);
      if (this.#helper !== undefined) this.#folders.set(id, folder);
      return folder === undefined ? [] : [{ id, folder }];
    });
    const frozen = await this.#cgroups.frozen(known.map(({ folder }) => folder));
    for (const { folder, id } of known) {
      if (frozen.has(folder)) this.#frozen.add(id);
    }
    if (frozen.size > 0) await this.#helper?.prepare();
  }

  /**
   * Freezes a container. Resolves with false if that is not possible; it runs then.
   *
   * @throws {Error} When it is thawed meanwhile, or was sent a signal before.
   */
  async freeze(id: string): Promise<boolean> {
    const folder = this.#freezes ? await this.#folderOf(id) : undefined;
    if (folder === undefined) return false;
    if (this.#clock.now() - (this.#signalled.get(id) ?? -Infinity) < SIGNAL_HOLDS_MS) {
      throw new Error("somebody has sent the container a signal");
    }
    this.#frozen.add(id);
    const deadlineMs = this.#clock.now() + FREEZE_TIMEOUT_MS;
    for (
      let answer = await this.#ask("freeze", folder);
      answer !== "frozen";
      answer = await this.#ask("look", folder)
    ) {
      if (!this.#frozen.has(id)) break;
      if (answer !== "freezing" || this.#clock.now() >= deadlineMs) {
        log.warning("a container is paused by the engine, since it cannot be frozen", { id, answer });
        this.#folders.set(id, undefined);
        this.#frozen.delete(id);
        await this.#ask("thaw", folder);
        return false;
      }
      await delay(this.#clock, LOOK_INTERVAL_MS);
    }
    if (!this.#frozen.has(id)) throw new Error("the container was thawed while it was being frozen");
    return true;
  }

  /** Thaws a frozen container. Resolves with whether it runs now; false if it was not frozen here. */
  async thaw(id: string): Promise<boolean> {
    const folder = this.#folders.get(id);
    if (folder === undefined || !this.#frozen.delete(id)) return false;
    if (await this.#ask("thaw", folder) === "thawed") return true;
    this.#frozen.add(id);
    return false;
  }

  /** Thaws a container that somebody sends a signal, and keeps it awake for a while. */
  async signalled(id: string): Promise<boolean> {
    this.#signalled.set(id, this.#clock.now());
    return await this.thaw(id);
  }

  /** Leaves a container to the engine, which has paused it and will resume it. */
  leave(id: string, engineId: string): void {
    this.#engineIds.set(id, engineId);
    this.#frozen.delete(id);
  }

  forget(id: string): void {
    const folder = this.#folders.get(id);
    if (folder !== undefined) this.#helper?.forget(folder);
    this.#frozen.delete(id);
    this.#folders.delete(id);
    this.#engineIds.delete(id);
    this.#signalled.delete(id);
  }

  async #folderOf(id: string): Promise<string | undefined> {
    const engineId = this.#engineIds.get(id);
    if (this.#helper === undefined || engineId === undefined) return undefined;
    if (!this.#folders.has(id)) {
      const [folders] = await Promise.all([this.#cgroups.folders(), this.#helper.prepare()]);
      this.#folders.set(id, folders.get(engineId));
    }
    return this.#folders.get(id);
  }

  async #ask(what: Command, folder: string): Promise<string | undefined> {
    return await this.#helper?.ask(what, folder);
  }
}
