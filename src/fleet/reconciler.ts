import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Fleet } from "./fleet.ts";
import type { Container, Launcher } from "../pool/launcher.ts";

const log = logger("reconciler");
const TICK_MS = 500;
const RECONCILE_MS = 15_000;
/** While no events come, the list is all that tells of an end. */
const RECONCILE_DEAF_MS = 1000;
const SUSPICION_MS = 1000;
const MAX_SWEEPS = 5;

/** What a {@linkcode Reconciler} works with. */
export interface ReconcilerParts {
  readonly launcher: Launcher;
  readonly fleet: Fleet;
  readonly clock: Clock;
  /** Whether the engine's events are being received. */
  readonly listening: () => boolean;
  /** Whether a container that belongs to no instance is not to be removed; missing where all are. */
  readonly stays?: (container: Container) => boolean;
  /** Stops paused instances where memory is short; missing for never. */
  readonly memory?: { tick(): void };
}

/** Now and then compares the engine's list of containers with the instances that there should be. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  #stopTicking: (() => void) | undefined;
  #reconciling: Promise<boolean> | undefined;
  #reconciledAt = -Infinity;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Begins; {@linkcode Reconciler.stop} ends it. */
  start(): void {
    const { clock } = this.#parts;
    this.#reconciledAt = clock.now();
    this.#stopTicking = clock.every(TICK_MS, () => this.#tick());
  }

  /** Ends the ticking; a comparison that is on its way still ends by itself. */
  stop(): void {
    this.#stopTicking?.();
  }

  /**
   * Asks the engine for its containers and corrects what is known of them; calls at the same time share one answer.
   *
   * @returns Whether that went well.
   */
  reconcile(): Promise<boolean> {
    this.#reconciling ??= this.#reconcile().finally(() => {
      this.#reconciling = undefined;
      this.#reconciledAt = this.#parts.clock.now();
    });
    return this.#reconciling;
  }

  /** Removes every container that belongs to no instance. An engine under load may have to be asked several times. */
  async sweep(): Promise<void> {
    for (let tries = 0; tries < MAX_SWEEPS && !await this.reconcile(); tries++);
  }

  /** Has the engine asked soon, since an instance does not answer; how many requests ever notice makes no difference. */
  suspect(): void {
    if (this.#parts.clock.now() - this.#reconciledAt >= SUSPICION_MS) this.reconcile();
  }

  #tick(): void {
    const { clock, listening, memory } = this.#parts;
    memory?.tick();
    const due = this.#reconciledAt + (listening() ? RECONCILE_MS : RECONCILE_DEAF_MS);
    if (clock.now() >= due) this.reconcile();
  }

  async #reconcile(): Promise<boolean> {
    const { fleet, launcher, stays } = this.#parts;
    const known = fleet.known();
    try {
      const orphans = fleet.reconcile(await launcher.list(), known).filter((container) => !stays?.(container));
      for (const { id, service, state } of orphans) log.info("container without an instance", { service, id, state });
      await Promise.all(orphans.map(({ id }) => launcher.remove(id).then(() => launcher.forget(id))));
      return true;
    } catch (error) {
      log.warning("cannot compare the containers with the engine's list", { reason: messageOf(error) });
      return false;
    }
  }
}
