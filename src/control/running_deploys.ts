import type { DeployRecord } from "./records.ts";

/** A deploy that is under way. */
export class RunningDeploy implements Disposable {
  readonly service: string;
  readonly image: string;
  /** The name of the token that was used. */
  readonly by: string;
  /** Wall-clock time, ms since 1970. */
  readonly startedAt: number;
  /** The name of the revision that it makes, once there is one. */
  revision: string | undefined;
  /** While it pulls the image: how many of the known layers are here. */
  pull: { readonly done: number; readonly total: number } | undefined;
  /** Whether it waits until the revision that had the volumes has stopped. */
  isHandingOver = false;
  readonly #running: Map<string, RunningDeploy>;

  constructor(
    { service, image, by, startedAt }: Pick<DeployRecord, "service" | "image" | "by" | "startedAt">,
    running: Map<string, RunningDeploy>,
  ) {
    [this.service, this.image, this.by, this.startedAt] = [service, image, by, startedAt];
    this.#running = running;
    running.set(service, this);
  }

  /** Notes that it has ended. */
  [Symbol.dispose](): void {
    this.#running.delete(this.service);
  }
}

/** The deploys that are under way. Those that wait for an earlier one of the same service are not among them. */
export class RunningDeploys {
  readonly #running = new Map<string, RunningDeploy>();

  /** Notes that a deploy begins. Dispose of the result when it has ended. */
  begin(deploy: Pick<DeployRecord, "service" | "image" | "by" | "startedAt">): RunningDeploy {
    return new RunningDeploy(deploy, this.#running);
  }

  /** The deploy of a service that is under way. */
  of(service: string): RunningDeploy | undefined {
    return this.#running.get(service);
  }

  /** The services whose deploy is under way. */
  services(): Iterable<string> {
    return this.#running.keys();
  }
}
