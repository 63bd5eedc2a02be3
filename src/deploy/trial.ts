import type { InstancePool } from "../pool/instance_pool.ts";
import { RevisionFailed } from "../control/deploy_error.ts";
import type { Emit } from "../control/events.ts";

/** What a {@linkcode Trial} works with. */
export interface TrialParts {
  readonly emit: Emit;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  /** Starts one instance of a pool; rejects with why it did not become ready, or with the signal's reason. */
  readonly tryStart: (pool: InstancePool, signal: AbortSignal) => Promise<void>;
}

/** Starts an instance of a revision before requests go there, to see whether it works. */
export class Trial {
  readonly #parts: TrialParts;

  constructor(parts: TrialParts) {
    this.#parts = parts;
  }

  /** Resolves when an instance is ready. @throws {RevisionFailed} When none becomes so; the signal's reason before all. */
  async run(pool: InstancePool, signal: AbortSignal): Promise<void> {
    const { emit, now, tryStart } = this.#parts;
    const { name, service } = pool.revision;
    const began = now();
    emit("revision.starting", service, { revision: name });
    try {
      await tryStart(pool, signal);
      signal.throwIfAborted();
    } catch (error) {
      const failed = new RevisionFailed(name, signal.aborted ? signal.reason : error);
      emit("revision.failed", service, { revision: name, reason: failed.reason, output: failed.output });
      signal.throwIfAborted();
      throw failed;
    }
    emit("revision.ready", service, { revision: name, ms: now() - began });
  }
}
