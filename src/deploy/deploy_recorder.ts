import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { ImageUnavailable, RevisionFailed } from "../control/deploy_error.ts";
import { lastOutput } from "../control/deploy_record.ts";
import type { DeployRecord } from "../control/records.ts";
import type { RunningDeploy, RunningDeploys } from "../control/running_deploys.ts";
import { type Store, StoreUnavailable } from "../control/store.ts";

const log = logger("deployer");

/** What the recorder needs to know of a deploy that worked. */
interface Worked {
  readonly revision: { readonly name: string };
  readonly isChanged: boolean;
}

/** Knows the deploys that are under way, and stores how they end, also those that fail or are called off. */
export class DeployRecorder {
  readonly #store: Pick<Store, "addDeploy">;
  readonly #running: Pick<RunningDeploys, "begin">;
  readonly #now: () => number;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(store: Pick<Store, "addDeploy">, running: Pick<RunningDeploys, "begin">, now: () => number) {
    this.#store = store;
    this.#running = running;
    this.#now = now;
  }

  /**
   * Runs a deploy, and stores how it ended, unless nothing was to be changed. If that cannot be stored, it is logged,
   * and the deploy ends as it would have. It is not tried where the store did not take the change itself: a Swarm
   * without a leader answers after 20 s.
   *
   * @param signal Aborted if the deploy is called off.
   * @param work Notes in `running` how far it is.
   */
  async record<T extends Worked>(
    begun: Pick<DeployRecord, "service" | "image" | "by">,
    signal: AbortSignal,
    work: (running: RunningDeploy) => Promise<T>,
  ): Promise<T> {
    const startedAt = this.#now();
    using running = this.#running.begin({ ...begun, startedAt });
    const add = (end: Pick<DeployRecord, "revision" | "outcome" | "reason" | "output">) => {
      return this.#add({ ...begun, startedAt, durationMs: Math.max(0, this.#now() - startedAt), ...end });
    };
    try {
      const worked = await work(running);
      const { revision: { name }, isChanged } = worked;
      if (isChanged) await add({ revision: name, outcome: "deployed", reason: undefined, output: [] });
      return worked;
    } catch (error) {
      if (error instanceof StoreUnavailable) {
        warn(begun.service, error);
        throw error;
      }
      const isKnown = error instanceof RevisionFailed || error instanceof ImageUnavailable;
      const reason = error instanceof RevisionFailed ? error.reason : messageOf(error);
      const output = isKnown ? lastOutput(error.output) : [];
      const { revision } = running;
      await add({ revision, outcome: signal.aborted ? "called off" : "failed", reason, output });
      throw error;
    }
  }

  async #add(record: DeployRecord): Promise<void> {
    try {
      await this.#store.addDeploy(record);
    } catch (error) {
      warn(record.service, error);
    }
  }
}

function warn(service: string, error: unknown): void {
  log.warning("cannot store how a deploy has ended", { service, reason: messageOf(error) });
}
