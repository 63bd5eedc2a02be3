import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { defined } from "../model/defined.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Instance } from "../pool/instance.ts";
import type { Launcher } from "../pool/launcher.ts";
import type { EventLog } from "./events.ts";
import type { RunningDeploys } from "./running_deploys.ts";
import { isWaitedFor, type Waiting, waitingOf } from "./waiting.ts";

const log = logger("waits");
/** Of an app that needs longer than this to start, the output is followed and the ports are looked up. */
const FOLLOW_AFTER_MS = 2000;
/** Of the app's last line, so much is told. */
const MAX_LINE = 300;

/** What {@linkcode ServiceWaits} works with. */
export interface ServiceWaitsOptions {
  readonly deploys: Pick<RunningDeploys, "of" | "services">;
  readonly fleet: Pick<Fleet, "instances">;
  readonly events: Pick<EventLog, "tell">;
  readonly outputs: {
    read(
      id: string,
      options: { readonly follow: true; readonly tail: number; readonly signal: AbortSignal },
    ): AsyncIterable<{ readonly text: string }>;
  };
  readonly images: Pick<Launcher, "exposedPorts">;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** What a service waits for, with the last line that the app wrote, if it is known. */
export interface WaitingNow extends Waiting {
  readonly output?: string;
}

/** Knows what deploys and starts wait for. */
export class ServiceWaits {
  readonly #options: ServiceWaitsOptions;
  /** The last lines of the apps whose output is followed, by instance. */
  readonly #lines = new Map<string, string | undefined>();
  /** The ports that their images expose, by instance. */
  readonly #exposed = new Map<string, readonly number[]>();

  constructor(options: ServiceWaitsOptions) {
    this.#options = options;
  }

  /** What a service waits for; `undefined` if there is nothing to wait for. */
  of(service: string): WaitingNow | undefined {
    return this.#of(service, this.#options.fleet.instances());
  }

  /**
   * Tells subscribers what services wait for, and follows the output of apps that are slow to start. Call it each
   * second while there are subscribers.
   */
  tell(): void {
    const { deploys, events, fleet, now } = this.#options;
    const instances = fleet.instances();
    const coming = instances.filter(isWaitedFor);
    for (const service of new Set([...deploys.services(), ...coming.map(({ revision }) => revision.service)])) {
      const waiting = this.#of(service, instances);
      if (waiting === undefined) continue;
      events.tell("service.waiting", service, { ...waiting, since: new Date(waiting.since).toISOString() });
    }
    for (const instance of coming) {
      const { id, origin, startedAt, state } = instance;
      if (state !== "starting" || origin === "" || this.#lines.has(id)) continue;
      if (now() - startedAt.getTime() >= FOLLOW_AFTER_MS) this.#follow(instance);
    }
  }

  #of(service: string, instances: readonly Instance[]): WaitingNow | undefined {
    const own = instances.filter(({ revision }) => revision.service === service);
    const waiting = waitingOf(this.#options.deploys.of(service), own, this.#exposed);
    return waiting && { ...waiting, ...defined({ output: this.#lines.get(waiting.instance ?? "") }) };
  }

  /** Follows the output of an app until it is ready or has ended. */
  async #follow(instance: Instance): Promise<void> {
    const { id } = instance;
    const end = new AbortController();
    const moved = instance.untilMoved().then(() => end.abort());
    this.#lines.set(id, undefined);
    void this.#lookUpPorts(instance, end.signal);
    try {
      for await (const { text } of this.#options.outputs.read(id, { follow: true, tail: 1, signal: end.signal })) {
        if (text.trim() !== "" && !end.signal.aborted) this.#lines.set(id, text.trim().slice(0, MAX_LINE));
      }
    } catch (error) {
      log.debug("cannot follow the output of an app that starts", { instance: id, reason: messageOf(error) });
    }
    await moved;
    this.#lines.delete(id);
    this.#exposed.delete(id);
  }

  async #lookUpPorts({ id, revision }: Instance, signal: AbortSignal): Promise<void> {
    const exposed = await this.#options.images.exposedPorts(revision).catch(() => []);
    if (!signal.aborted) this.#exposed.set(id, exposed);
  }
}
