import { defined } from "../model/defined.ts";
import type { EventLog } from "./events.ts";
import type { ServiceStatus, ServiceStatuses } from "./service_status.ts";

/** Emits an event when the state of a service changes. Does nothing while nobody subscribes to events. */
export class StatusEvents {
  readonly #log: Pick<EventLog, "emit" | "subscribers">;
  readonly #statuses: Pick<ServiceStatuses, "of">;
  /** What was told last of each service since somebody subscribed. */
  readonly #told = new Map<string, string>();
  /** The services whose state may have changed. */
  readonly #due = new Set<string>();

  constructor(log: Pick<EventLog, "emit" | "subscribers">, statuses: Pick<ServiceStatuses, "of">) {
    this.#log = log;
    this.#statuses = statuses;
  }

  /** Call it when the state of a service may have changed. The first event of a service may tell no change. */
  check(service: string): void {
    if (this.#log.subscribers === 0) return this.#told.clear();
    // Looked at later, since pools report what they are about to do, and often several changes at once.
    if (this.#due.size === 0) queueMicrotask(this.#tell);
    this.#due.add(service);
  }

  forget(service: string): void {
    this.#told.delete(service);
    this.#due.delete(service);
  }

  readonly #tell = (): void => {
    const due = [...this.#due];
    this.#due.clear();
    for (const service of due) {
      const data = dataOf(this.#statuses.of(service));
      const text = JSON.stringify(data);
      if (this.#told.get(service) === text) continue;
      this.#told.set(service, text);
      this.#log.emit("service.state", service, data);
    }
  };
}

function dataOf({ state, failure, failingSince }: ServiceStatus): Record<string, unknown> {
  return defined({
    state,
    failure,
    failingSince: failingSince === undefined ? undefined : new Date(failingSince).toISOString(),
  });
}
