import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Instance, Suspicion } from "./instance.ts";
import { type Ask, askWithin } from "./readiness.ts";

/** How long the app may take to answer, ms. */
const PATIENCE_MS = 3000;
/** How long to wait before each attempt to reach an app that has closed a connection, ms. */
const PAUSES_MS = [0, 200, 400] as const;

/** What a {@linkcode Checkup} works with. */
export interface CheckupParts {
  readonly clock: Clock;
  readonly ask: Ask;
  /** Is told of an instance that gives no sign of life. */
  readonly unhealthy: (instance: Instance) => void;
}

/**
 * Asks the apps of ready instances that are suspected, since what has become of one request need not say anything of the
 * app, and since Docker's forwarder takes connections also where nobody listens behind it.
 */
export class Checkup {
  readonly #parts: CheckupParts;
  readonly #asked = new Set<Instance>();

  constructor(parts: CheckupParts) {
    this.#parts = parts;
  }

  /** Asks the app of an instance, unless that is being done. Each time that one is not to be reached is a failed connection. */
  async ask(instance: Instance, why: Suspicion): Promise<void> {
    if (instance.state !== "ready" || this.#asked.has(instance)) return;
    this.#asked.add(instance);
    try {
      if (why === "closed") await this.#reach(instance);
      else if (await this.#isDead(instance)) this.#parts.unhealthy(instance);
    } finally {
      this.#asked.delete(instance);
    }
  }

  async #reach(instance: Instance): Promise<void> {
    for (const ms of PAUSES_MS) {
      if (ms > 0) await delay(this.#parts.clock, ms, instance.gone);
      if (!await this.#isDead(instance)) return;
      instance.failed();
    }
  }

  /** Whether the app gives no sign of life, which says nothing where something has happened to the container meanwhile. */
  async #isDead(instance: Instance): Promise<boolean> {
    if (instance.state !== "ready") return false;
    const { ask, clock } = this.#parts;
    const { changes, origin, revision: { readinessPath } } = instance;
    const probed = await askWithin(ask, origin + readinessPath, clock, PATIENCE_MS);
    return instance.changes === changes && (probed === "closed" || probed === "refused" || probed === "silent");
  }
}
