import type { ServiceStatus, ServiceStatuses } from "./service_status.ts";

/** Gets each change of the state of a service. */
export interface StatusObserver {
  changed(service: string, status: ServiceStatus): void;
}

const ASLEEP: ServiceStatus = { state: "asleep" };

/** Notices when the state of a service changes, and passes that on. */
export class StatusWatch {
  readonly #statuses: Pick<ServiceStatuses, "of">;
  readonly #observers: readonly StatusObserver[];
  /** The last status of each service that does not sleep. */
  readonly #last = new Map<string, ServiceStatus>();
  /** The services whose state may have changed. */
  readonly #due = new Set<string>();
  /** While true, changes stay due. */
  #isHeld = false;

  constructor(statuses: Pick<ServiceStatuses, "of">, observers: readonly StatusObserver[]) {
    this.#statuses = statuses;
    this.#observers = observers;
  }

  /**
   * Continues with what services do, as a predecessor tells. Until {@linkcode lookAgain}, nothing is passed on: an
   * instance that is being adopted seems to start, though the predecessor serves with it.
   */
  resume(statuses: Iterable<readonly [service: string, status: ServiceStatus]>): void {
    this.#isHeld = true;
    for (const [service, status] of statuses) {
      this.#last.set(service, status);
      this.#due.add(service);
    }
  }

  /** Passes on what has changed since {@linkcode resume}. */
  lookAgain(): void {
    this.#isHeld = false;
    this.#look();
  }

  /** Call it when the state of a service may have changed. */
  check(service: string): void {
    // Looked at later, since pools report what they are about to do, and often several changes at once.
    if (this.#due.size === 0) queueMicrotask(this.#look);
    this.#due.add(service);
  }

  forget(service: string): void {
    this.#last.delete(service);
    this.#due.delete(service);
  }

  readonly #look = (): void => {
    if (this.#isHeld) return;
    const due = [...this.#due];
    this.#due.clear();
    for (const service of due) {
      const status = this.#statuses.of(service);
      if (isSame(status, this.#last.get(service) ?? ASLEEP)) continue;
      if (status.state === "asleep") this.#last.delete(service);
      else this.#last.set(service, status);
      for (const observer of this.#observers) observer.changed(service, status);
    }
  };
}

function isSame(a: ServiceStatus, b: ServiceStatus): boolean {
  return a.state === b.state && a.failure === b.failure && a.failingSince === b.failingSince;
}
