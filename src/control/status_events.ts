import { defined } from "../model/defined.ts";
import type { EventLog } from "./events.ts";
import type { ServiceStatus } from "./service_status.ts";
import type { StatusObserver } from "./status_watch.ts";

/** Emits an event when the state of a service changes, while somebody subscribes to events. */
export class StatusEvents implements StatusObserver {
  readonly #log: Pick<EventLog, "emit" | "subscribers">;

  constructor(log: Pick<EventLog, "emit" | "subscribers">) {
    this.#log = log;
  }

  changed(service: string, status: ServiceStatus): void {
    if (this.#log.subscribers > 0) this.#log.emit("service.state", service, dataOf(status));
  }
}

function dataOf({ state, failure, failingSince }: ServiceStatus): Record<string, unknown> {
  return defined({
    state,
    failure,
    failingSince: failingSince === undefined ? undefined : new Date(failingSince).toISOString(),
  });
}
