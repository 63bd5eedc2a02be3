import type { InstanceState } from "../model/instance_state.ts";
import type { Failure } from "../pool/start_backoff.ts";
import type { Service } from "../routing/service.ts";

/** The words for what a service is doing. */
export const SERVICE_STATES = [
  "ready",
  "starting",
  "paused",
  "hibernated",
  "asleep",
  "failing",
  "deploying",
] as const;

/** What a service is doing now. */
export interface ServiceStatus {
  readonly state: typeof SERVICE_STATES[number];
  /** Why it fails, in one line; only in the state `failing`. */
  readonly failure?: string;
  /** When the first of its failures was after which nothing has worked, ms since 1970; only in the state `failing`. */
  readonly failingSince?: number;
}

/** What decides about the state of a service. */
export interface StatusFacts {
  /** Whether a deploy of it is under way. */
  readonly isDeploying: boolean;
  /** The states of its instances. */
  readonly instances: ReadonlySet<InstanceState>;
  /** Why no instance can answer, if a start has failed. */
  readonly failure: Pick<Failure, "reason" | "since"> | undefined;
}

/** What a service is doing: a deploy, else what the most wakeful of its instances does. */
export function statusOf({ isDeploying, instances, failure }: StatusFacts): ServiceStatus {
  if (isDeploying) return { state: "deploying" };
  if (instances.has("ready")) return { state: "ready" };
  if (failure !== undefined) {
    return { state: "failing", failure: failure.reason, failingSince: failure.since.getTime() };
  }
  if (instances.has("starting")) return { state: "starting" };
  if (instances.has("paused")) return { state: "paused" };
  return { state: instances.has("hibernated") ? "hibernated" : "asleep" };
}

/** What the services are doing. Needs neither the store nor the engine, and makes no pool. */
export class ServiceStatuses {
  readonly #services: { get(name: string): Service | undefined; names(): Iterable<string> };
  readonly #deploys: { has(service: string): boolean };

  /** @param deploys The services whose deploy is under way. */
  constructor(
    services: { get(name: string): Service | undefined; names(): Iterable<string> },
    deploys: { has(service: string): boolean },
  ) {
    this.#services = services;
    this.#deploys = deploys;
  }

  /** What a service is doing. A service that is not there sleeps, unless its first deploy is under way. */
  of(name: string): ServiceStatus {
    const service = this.#services.get(name);
    return statusOf({
      isDeploying: this.#deploys.has(name),
      instances: new Set(service?.pools().flatMap((pool) => pool.states())),
      failure: service?.failure(),
    });
  }

  /** What each service is doing; undeclared ones only once they have been used. */
  *all(): Iterable<ServiceStatus & { readonly service: string }> {
    for (const service of this.#services.names()) yield { service, ...this.of(service) };
  }
}
