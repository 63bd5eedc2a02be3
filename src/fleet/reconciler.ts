import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Launcher } from "../pool/launcher.ts";
import type { Adoption } from "./adoption.ts";
import type { Fleet } from "./fleet.ts";
import type { MemoryBudget } from "./memory_budget.ts";

const log = logger("reconciler");
const TICK_MS = 500;
const RECONCILE_MS = 15_000;
/** The period while no events come: only the list shows that a container has ended. */
const RECONCILE_DEAF_MS = 1000;
const SUSPICION_MS = 1000;
const MAX_SWEEPS = 5;

/** What a {@linkcode Reconciler} works with. */
export interface ReconcilerOptions {
  readonly launcher: Launcher;
  readonly fleet: Fleet;
  readonly clock: Clock;
  /** Whether the engine's events are being received. */
  readonly engine: { readonly listening: boolean };
  /** Protects containers whose pool is not known yet. */
  readonly adoption?: Pick<Adoption, "stays">;
  readonly memory?: Pick<MemoryBudget, "tick">;
}

/** Compares the engine's list of containers with the instances, periodically, because events get lost. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  #stopTicking: (() => void) | undefined;
  #reconciling: Promise<boolean> | undefined;
  #reconciledAt = -Infinity;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock } = this.#options;
    this.#reconciledAt = clock.now();
    this.#stopTicking = clock.every(TICK_MS, () => this.#tick());
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
      this.#reconciledAt = this.#options.clock.now();
    });
    return this.#reconciling;
  }

  /** Reconciles until the engine answers, but only for a limited time. */
  async sweep(): Promise<void> {
    for (let tries = 0; tries < MAX_SWEEPS && !await this.reconcile(); tries++);
  }

  /** Reconciles because an instance does not answer, at most once a second. */
  suspect(): void {
    if (this.#options.clock.now() - this.#reconciledAt >= SUSPICION_MS) this.reconcile();
  }

  #tick(): void {
    const { clock, engine, memory } = this.#options;
    memory?.tick();
    const due = this.#reconciledAt + (engine.listening ? RECONCILE_MS : RECONCILE_DEAF_MS);
    if (clock.now() >= due) this.reconcile();
  }

  async #reconcile(): Promise<boolean> {
    const { adoption, fleet, launcher } = this.#options;
    const known = fleet.known();
    try {
      const orphans = fleet.reconcile(await launcher.list(), known).filter((container) => !adoption?.stays(container));
      for (const { id, service, state } of orphans) log.info("container without an instance", { service, id, state });
      await Promise.all(orphans.map(({ id }) => launcher.remove(id).then(() => launcher.forget(id))));
      return true;
    } catch (error) {
      log.warning("cannot compare the containers with the engine's list", { reason: messageOf(error) });
      return false;
    }
  }
}
