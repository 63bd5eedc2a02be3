import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { logger } from "../../base/log.ts";
import { NotNow } from "../../pool/launcher.ts";
import { containerCgroups, type Folders, frozenFolders } from "./cgroups.ts";
import type { Command, FreezerHelper } from "./helper.ts";

const log = logger("freezer");
/** If not all processes of a container have stopped within this time, they run again. */
const FREEZE_TIMEOUT_MS = 1000;
/** After a signal, a container is not frozen for this time: its app may be about to end. */
const SIGNAL_HOLDS_MS = 60_000;
/** The pause between two looks at processes that have not stopped yet. */
const LOOK_INTERVAL_MS = 2;

/** Where control groups are, and which are frozen. */
export interface Cgroups {
  folders(): Promise<ReadonlyMap<string, Folders>>;
  frozen(folders: readonly string[]): Promise<ReadonlySet<string>>;
}

type Helper = Pick<FreezerHelper, "ask" | "begin" | "forget" | "prepare">;

const OF_THIS_MACHINE: Cgroups = { folders: containerCgroups, frozen: frozenFolders };

/**
 * Freezes containers by their control groups, without the engine: a thaw takes a tenth of the time. The engine goes on
 * to believe that they run. Version 1: https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html, version
 * 2: https://docs.kernel.org/admin-guide/cgroup-v2.html#core-interface-files
 */
export class Freezer {
  readonly #helper: Helper | undefined;
  #freezes: boolean;
  readonly #clock: Clock;
  readonly #cgroups: Cgroups;
  /** The engine's id of each running container, by name. */
  readonly #engineIds = new Map<string, string>();
  /** The folders of a container's control groups by name; `undefined` if it has none here, or cannot be frozen. */
  readonly #folders = new Map<string, Folders | undefined>();
  /** When each container was last sent a signal, clock ms. */
  readonly #signalled = new Map<string, number>();
  /** The serial number of the last beginning or end of a freeze or thaw of each container. */
  readonly #changes = new Map<string, number>();
  /** How many freezes and thaws of each container are running. */
  readonly #running = new Map<string, number>();
  #count = 0;
  /** The names of the containers that are frozen, or being frozen. */
  readonly #frozen = new Set<string>();
  /** The names of the containers that the engine has paused. */
  readonly #paused = new Set<string>();

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

  /** Starts the helper before it is needed: it needs an answer of the engine, which may be away then. */
  prepare(): void {
    if (this.#freezes) this.#helper?.begin();
  }

  /** The containers that are frozen. */
  get frozen(): readonly string[] {
    return [...this.#frozen];
  }

  isFrozen(id: string): boolean {
    return this.#frozen.has(id);
  }

  /** Whether a container is frozen, and there is no helper to thaw it. */
  isStuck(id: string): boolean {
    return this.#frozen.has(id) && this.#helper === undefined;
  }

  /** Whether a container's processes are stopped, by this or by the engine, which uses the same control group. */
  isStopped(id: string): boolean {
    return this.#frozen.has(id) || this.#paused.has(id);
  }

  /** The folders of a container whose processes are stopped; `undefined` if it has none here. */
  async foldersOf(id: string): Promise<Folders | undefined> {
    return this.isStopped(id) ? await this.#findFolders(id) : undefined;
  }

  /** Notes the engine's id of a container that has started, and runs. */
  started(id: string, engineId: string): void {
    this.forget(id);
    this.#engineIds.set(id, engineId);
    this.#changed(id);
  }

  /**
   * Takes the containers that the engine lists as running, by name with the engine's ids, and looks at their control
   * groups: an earlier process may have frozen them, or somebody else has frozen or thawed them.
   */
  async found(containers: ReadonlyMap<string, string>): Promise<void> {
    const before = new Map(this.#changes);
    const added = [...containers].filter(([id]) => !this.#folders.has(id));
    if (added.some(([id]) => !this.#engineIds.has(id))) {
      const folders = await this.#cgroups.folders();
      for (const [id, engineId] of added) {
        this.#engineIds.set(id, engineId);
        this.#folders.set(id, folders.get(engineId));
      }
    }
    const known = [...containers.keys()].flatMap((id) => {
      const folder = this.#folders.get(id)?.freezer;
      return folder === undefined ? [] : [{ id, folder }];
    });
    const frozen = await this.#cgroups.frozen(known.map(({ folder }) => folder));
    for (const { folder, id } of known) {
      // A freeze or thaw is running, or has begun or ended meanwhile.
      if (this.#running.has(id) || this.#changes.get(id) !== before.get(id)) continue;
      if (!frozen.has(folder)) {
        this.#frozen.delete(id);
        this.resumedByEngine(id);
      } else if (!this.#paused.has(id)) this.#frozen.add(id); // else the list is older than the engine's pause
    }
    if (frozen.size > 0) await this.#helper?.prepare(this.frozen.flatMap((id) => this.#folders.get(id) ?? []));
  }

  /**
   * Freezes a container. Resolves with false if that is not possible; it runs then.
   *
   * @throws {NotNow} When it was sent a signal before, or some of its processes do not stop.
   * @throws {Error} When it is thawed meanwhile, or when it is not known whether it runs.
   */
  async freeze(id: string): Promise<boolean> {
    if (!this.#freezes) return false;
    const [folders, problem] = await Promise.all([this.#findFolders(id), this.#helper?.prepare()]);
    if (folders === undefined || problem !== undefined) return false;
    if (this.#clock.now() - (this.#signalled.get(id) ?? -Infinity) < SIGNAL_HOLDS_MS) {
      throw new NotNow("the container may have been sent a signal to end");
    }
    this.resumedByEngine(id); // else it could not be frozen
    this.#frozen.add(id);
    this.#begin(id);
    const deadlineMs = this.#clock.now() + FREEZE_TIMEOUT_MS;
    let answer = await this.#ask("freeze", folders);
    while (answer === "freezing" && this.#frozen.has(id) && this.#clock.now() < deadlineMs) {
      await delay(this.#clock, LOOK_INTERVAL_MS);
      answer = await this.#ask("look", folders);
    }
    this.#end(id);
    if (!this.#frozen.has(id)) throw new Error("the container was thawed while it was being frozen");
    if (answer === "frozen") return true;
    if (answer !== undefined && answer !== "freezing") {
      log.warning("the engine pauses a container, since it cannot be frozen", { id, answer });
      this.#frozen.delete(id);
      this.#folders.set(id, undefined);
      return false;
    }
    if (!await this.thaw(id)) throw new Error("no helper says whether the container is frozen");
    throw new NotNow("the container's processes do not stop"); // they may be waiting for a disk
  }

  /** Thaws a frozen container. Resolves with whether it runs now; false if it was not frozen here. */
  async thaw(id: string): Promise<boolean> {
    this.resumedByEngine(id);
    const folders = this.#folders.get(id);
    if (this.#helper === undefined || folders === undefined || !this.#frozen.delete(id)) return false;
    this.#begin(id);
    const isThawed = await this.#ask("thaw", folders) === "thawed";
    this.#end(id);
    if (!isThawed && this.#folders.get(id) === folders) this.#frozen.add(id);
    return isThawed;
  }

  /** Thaws a container that may be sent a signal to end, and keeps it awake for a while. */
  async signalled(id: string): Promise<boolean> {
    if (this.#engineIds.has(id)) this.#signalled.set(id, this.#clock.now());
    return await this.thaw(id);
  }

  /** From now on nothing is frozen, only thawed. */
  stopFreezing(): void {
    this.#freezes = false;
  }

  /** Leaves a container to the engine, which has paused it and will resume it. */
  leave(id: string, engineId: string): void {
    this.#engineIds.set(id, engineId);
    this.#frozen.delete(id);
    this.#paused.add(id);
    this.#changed(id);
  }

  /** Notes that the engine has resumed a container, or is about to: its memory is moved to swap no longer. */
  resumedByEngine(id: string): void {
    const folders = this.#folders.get(id);
    if (this.#paused.delete(id) && folders !== undefined) this.#ask("cancel", folders);
  }

  forget(id: string): void {
    const folders = this.#folders.get(id);
    if (folders !== undefined) this.#helper?.forget(folders);
    this.#frozen.delete(id);
    this.#paused.delete(id);
    this.#folders.delete(id);
    this.#engineIds.delete(id);
    this.#signalled.delete(id);
    this.#changes.delete(id);
  }

  #begin(id: string): void {
    this.#changed(id);
    this.#running.set(id, (this.#running.get(id) ?? 0) + 1);
  }

  #end(id: string): void {
    if (this.#engineIds.has(id)) this.#changed(id); // else it was forgotten meanwhile
    const left = this.#running.get(id)! - 1;
    if (left > 0) this.#running.set(id, left);
    else this.#running.delete(id);
  }

  #changed(id: string): void {
    this.#changes.set(id, ++this.#count);
  }

  async #findFolders(id: string): Promise<Folders | undefined> {
    const engineId = this.#engineIds.get(id);
    if (this.#helper === undefined || engineId === undefined) return undefined;
    if (!this.#folders.has(id)) this.#folders.set(id, (await this.#cgroups.folders()).get(engineId));
    return this.#folders.get(id);
  }

  async #ask(what: Command, folders: Folders): Promise<string | undefined> {
    return await this.#helper?.ask(what, folders);
  }
}
