import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Tenure } from "../pool/decide.ts";
import { type Container, type Launcher, NotNow } from "../pool/launcher.ts";
import type { Adoption } from "./adoption.ts";
import type { Fleet } from "./fleet.ts";

const log = logger("reconciler");
const TICK_MS = 500;
const RECONCILE_MS = 15_000;
/** The period while no events are received: then only the list shows that a container has ended. */
const RECONCILE_WITHOUT_EVENTS_MS = 1000;
const SUSPICION_MS = 1000;
const MAX_SWEEPS = 5;

/** Compares the engine's list of containers with the instances, periodically, because events get lost. */
export class Reconciler {
  readonly #launcher: Launcher;
  readonly #fleet: Fleet;
  readonly #adoption: Pick<Adoption, "stays">;
  readonly #clock: Clock;
  #stopTicking: (() => void) | undefined;
  #reconciling: Promise<boolean> | undefined;
  readonly #role: { readonly now: { readonly tenure: Tenure } };
  #reconciledAt = -Infinity;

  /**
   * @param adoption Protects containers whose pool is not known yet.
   * @param role What this process may do. Unless its tenure is `all`, no containers are removed, since another process
   * may own them.
   */
  constructor(
    launcher: Launcher,
    fleet: Fleet,
    adoption: Pick<Adoption, "stays">,
    clock: Clock,
    role: { readonly now: { readonly tenure: Tenure } } = { now: { tenure: "all" } },
  ) {
    this.#role = role;
    this.#launcher = launcher;
    this.#fleet = fleet;
    this.#adoption = adoption;
    this.#clock = clock;
  }

  /** Begins to reconcile periodically. @param engine Says whether its events are being received. */
  start(engine: { readonly listening: boolean }): void {
    this.#reconciledAt = this.#clock.now();
    this.#stopTicking = this.#clock.every(TICK_MS, () => {
      const due = this.#reconciledAt + (engine.listening ? RECONCILE_MS : RECONCILE_WITHOUT_EVENTS_MS);
      if (this.#clock.now() >= due) this.reconcile();
    });
  }

  stop(): void {
    this.#stopTicking?.();
  }

  /**
   * Lists the engine's containers, corrects the instances' states, and removes containers without an instance. Returns
   * whether the engine answered and removed them. Simultaneous calls share one comparison.
   */
  reconcile(): Promise<boolean> {
    this.#reconciling ??= this.#reconcile().finally(() => {
      this.#reconciling = undefined;
      this.#reconciledAt = this.#clock.now();
    });
    return this.#reconciling;
  }

  /** Reconciles because of news: once more if a comparison is running, since its list may be older than the news. */
  async refresh(): Promise<void> {
    await this.#reconciling;
    await this.reconcile();
  }

  /** Takes notice of one container that another process has started, without a list of all. */
  async discover(id: string): Promise<void> {
    if (this.#fleet.get(id) !== undefined) return;
    try {
      const container = await this.#launcher.sharing?.find(id);
      if (container !== undefined && this.#fleet.get(id) === undefined) this.#adoption.stays(container);
    } catch (error) {
      log.warning("cannot look at a container", { id, reason: messageOf(error) }); // the next list has it
    }
  }

  /** Reconciles until the engine answers, but only a limited number of times. */
  async sweep(): Promise<void> {
    for (let tries = 0; tries < MAX_SWEEPS && !await this.reconcile(); tries++);
  }

  /** Reconciles because an instance does not answer, at most once a second. */
  suspect(): void {
    if (this.#clock.now() - this.#reconciledAt >= SUSPICION_MS) this.reconcile();
  }

  async #reconcile(): Promise<boolean> {
    const known = this.#fleet.known();
    try {
      const unknown = this.#fleet.reconcile(await this.#launcher.list(), known);
      const orphans = unknown.filter((container) =>
        !this.#adoption.stays(container) && this.#role.now.tenure === "all"
      );
      for (const { id, service, state } of orphans) log.info("container without an instance", { service, id, state });
      await Promise.all(orphans.map((orphan) => this.#remove(orphan)));
      return true;
    } catch (error) {
      log.warning("cannot compare the containers with the engine's list", { reason: messageOf(error) });
      return false;
    }
  }

  /** Removes a container without an instance, unless another cless uses it. */
  async #remove({ id, state }: Container): Promise<void> {
    try {
      if (state !== "ended") await this.#launcher.sharing?.mayEnd(id, 0);
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      return log.debug("a container without an instance stays", { id, reason: messageOf(error) });
    }
    await this.#launcher.remove(id);
    this.#launcher.forget(id);
  }
}
