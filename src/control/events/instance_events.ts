import type { Revision } from "../../model/revision.ts";
import { CRASH_LOOP, type Failure } from "../../pool/crash_loop.ts";
import type { Instance } from "../../pool/instance.ts";
import { linesOf } from "../deploy_error.ts";
import type { EventLog } from "./event_log.ts";

/** Makes events of what happens to instances. */
export class InstanceEvents {
  readonly #log: Pick<EventLog, "emit">;

  constructor(log: Pick<EventLog, "emit">) {
    this.#log = log;
  }

  /** Tells of the new state of an instance. */
  changed({ id, state, coldStartMs, failure, revision }: Instance): void {
    const reason = state === "failed" || state === "stopped" ? failure : undefined;
    this.#log.emit(`instance.${state}`, revision.service, {
      instance: id,
      revision: revision.name,
      ...(state === "ready" && coldStartMs !== undefined ? { coldStartMs } : {}),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Tells of a revision that fails again and again; what a deploy has tried tells of itself. */
  revisionFailed({ name, service }: Revision, { count, output, reason }: Failure): void {
    if (count < CRASH_LOOP) return;
    this.#log.emit("revision.failed", service, { revision: name, reason, output: linesOf(output), count });
  }
}
