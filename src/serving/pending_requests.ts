import { ClessError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import type { Instance } from "./instance.ts";
import type { Upload } from "./upload.ts";

const TICK_MS = 100;

/** The reason of an abort: the client has gone away, so that any answer is for nobody. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** The reason of an abort: the instance has ended while it had the request. */
export class InstanceGone extends Error {
  override readonly name = "InstanceGone";
}

/** A request that has no answer yet. */
export class PendingRequest {
  readonly #controller = new AbortController();
  readonly request: Request;
  /** The instance that has it, once there is one. */
  instance: Instance | undefined;
  /** The body, where one is on its way. */
  upload: Upload | undefined;
  /** In the clock's ms. */
  deadline: number;
  ticks = 0;
  moved = 0;
  /** Where it stands in the list. */
  place: number;

  constructor(request: Request, deadline: number, place: number) {
    this.request = request;
    this.deadline = deadline;
    this.place = place;
  }

  /** Aborted when it is of no use to wait any longer; the reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Gives it up. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Makes the client's leaving felt at once; costs more than the tick, which is soon enough where nothing is held up. */
  watchClient(): void {
    const { signal } = this.request;
    const leave = () => this.abort(new ClientGone());
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }
}

/**
 * All requests without an answer. One coarse tick looks after them instead of a timer and a listener for each: most
 * requests are answered before it comes round, and then they have cost nothing.
 */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #waiting: PendingRequest[] = [];
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** @param timeout How long the answer's headers may take, ms. */
  add(request: Request, timeout: number): PendingRequest {
    const pending = new PendingRequest(request, this.#clock.now() + timeout, this.#waiting.length);
    this.#waiting.push(pending);
    this.#stopTicking ??= this.#clock.every(TICK_MS, () => this.#tick());
    return pending;
  }

  /** Takes out a request that has been answered. */
  delete(pending: PendingRequest): void {
    if (this.#waiting[pending.place] !== pending) return;
    const last = this.#waiting.pop()!;
    if (last === pending) return;
    this.#waiting[pending.place] = last;
    last.place = pending.place;
  }

  /** Gives up all that still wait. */
  abortAll(reason: Error): void {
    for (const pending of [...this.#waiting]) pending.abort(reason);
  }

  #tick(): void {
    if (this.#waiting.length === 0) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
      return;
    }
    const now = this.#clock.now();
    // Backwards, since one that is aborted may be taken out and the last put in its place.
    for (let at = this.#waiting.length - 1; at >= 0; at--) {
      const pending = this.#waiting[at];
      if (pending !== undefined) this.#look(pending, now);
    }
  }

  #look(pending: PendingRequest, now: number): void {
    if (pending.upload !== undefined && pending.upload.moved !== pending.moved) {
      pending.moved = pending.upload.moved;
      pending.deadline += TICK_MS; // the clock stands still while an upload moves
    }
    // Asking for a request's signal is dear, and a young request will be answered soon.
    if (++pending.ticks >= 2 && pending.request.signal.aborted) {
      pending.abort(new ClientGone());
    } else if (pending.instance?.gone.aborted) {
      pending.abort(new InstanceGone());
    } else if (now >= pending.deadline) {
      pending.abort(new ClessError("upstream_timeout", "The service did not answer in time"));
    }
  }
}
