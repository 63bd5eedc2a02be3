import { canonicalTime, parseDuration } from "../model/time.ts";
import { defined } from "../model/defined.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { InstanceOutput, type InstanceOutputs, type OutputOwner, type ServiceLogLine } from "./instance_output.ts";
import { Merge } from "./merge.ts";

/** Which lines are read. */
export interface ServiceLogOptions {
  /** Whether to continue with new lines, also of instances that start later. */
  readonly follow: boolean;
  /** How many of the last lines of each instance to begin with; missing for all. */
  readonly tail?: number;
  /** Only lines from this time on: RFC 3339, or an age such as `10m`. */
  readonly since?: string;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
  /** Only the instances of this revision. */
  readonly revision?: string;
}

/** The output of the instances of a service. */
export class ServiceLogs {
  readonly #outputs: InstanceOutputs;
  readonly #now: () => number;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(outputs: InstanceOutputs, now: () => number = Date.now) {
    this.#outputs = outputs;
    this.#now = now;
  }

  /**
   * The lines of all instances of a service, including the retained lines of ended ones. The existing lines come one
   * instance after the other, beginning with the ended ones. With `follow`, new lines come as they are written. It
   * reads little more than what is consumed. The iteration ends when the signal is aborted, when the reader stops, or,
   * without `follow`, after the last line. Then everything is closed.
   *
   * @throws {InvalidError} When `since` is neither a time nor a duration.
   * @throws From the iteration, without `follow`, when no instance's output can be read.
   */
  read(service: string, options: ServiceLogOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const { since } = options;
    return this.#read(service, since === undefined ? options : { ...options, since: sinceTime(since, this.#now()) });
  }

  async *#read(
    service: string,
    { follow, revision, signal: wanted, since, tail }: ServiceLogOptions,
  ): AsyncGenerator<ServiceLogLine, void, void> {
    if (wanted.aborted) return;
    const over = new AbortController();
    const signal = AbortSignal.any([wanted, over.signal]);
    const past = defined({ since, signal, tail });
    const onward = defined({ since, signal });
    const isWanted = (owner: OutputOwner) => revision === undefined || owner.revision === revision;
    const live = new Merge<ServiceLogLine>(signal);
    const known = new Map<string, Followed>();
    const onwards = async function* (followed: Followed, options: typeof past) {
      followed.isRead = true;
      do {
        followed.hasRestarted = false;
        yield* followed.output.live(options);
        options = onward;
      } while (followed.hasRestarted && !signal.aborted);
      followed.isRead = false;
    };
    const started = (owner: OutputOwner) => {
      if (!isWanted(owner)) return;
      const followed = known.get(owner.id) ?? newFollowed(new InstanceOutput(owner, this.#outputs));
      known.set(owner.id, followed);
      if (followed.isRead) followed.hasRestarted = true;
      else live.add(onwards(followed, onward));
    };
    const unwatch = follow ? this.#outputs.watch(service, started) : undefined;
    try {
      const outputs = this.#outputs.list(service).filter(isWanted)
        .map((owner) => new InstanceOutput(owner, this.#outputs));
      const running = outputs.filter(({ owner }) => owner.endedAt === undefined);
      for (const output of running) known.set(output.owner.id, { ...newFollowed(output), isRead: true });
      for (const output of outputs) {
        if (tail !== 0) yield* output.past(past);
        if (signal.aborted) return;
        // Its container may not exist yet: then it is followed once it runs.
        if (output.failure !== undefined && running.includes(output)) known.delete(output.owner.id);
      }
      const readable = outputs.filter(({ failure }) => failure === undefined);
      if (!follow && outputs.length > 0 && readable.length === 0) throw outputs[0]!.failure;
      if (!follow) return;
      for (const { owner } of readable.filter((output) => running.includes(output))) {
        live.add(onwards(known.get(owner.id)!, tail === 0 ? past : onward));
      }
      yield* live;
    } finally {
      unwatch?.();
      over.abort();
      await live.close();
    }
  }
}

/** An instance that is followed, or was. Another one may start under its id: its output continues this one's. */
interface Followed {
  readonly output: InstanceOutput;
  /** Whether its lines are being read, or will be soon. */
  isRead: boolean;
  /** Whether one has started since they are read. */
  hasRestarted: boolean;
}

function newFollowed(output: InstanceOutput): Followed {
  return { output, isRead: false, hasRestarted: false };
}

/** The moment that `since` means. */
function sinceTime(text: string, now: number): string {
  const time = canonicalTime(text);
  if (time !== undefined) return time;
  try {
    const ms = parseDuration(text);
    if (ms !== Infinity) return canonicalTime(new Date(now - ms).toISOString())!;
  } catch {
    // The message below says more.
  }
  throw new InvalidError(["since"], "must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m");
}
