import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { SwapList, type Swappable } from "../base/swap_list.ts";
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
export class UnansweredRequest implements Swappable {
  #controller = new AbortController();
  readonly request: Request;
  /** The body, where one is on its way. */
  upload: Upload | undefined;
  /** From when on the timeout runs, in the clock's ms: it stands still while an upload moves. */
  since: number;
  /** How long the answer's headers may take, ms. */
  timeout: number;
  /** How often it has been looked after. */
  ticks = 0;
  /** How much of its upload had come then, bytes. */
  moved = 0;
  /** See {@linkcode Swappable}. */
  place = -1;

  constructor(request: Request, since: number, timeout: number) {
    this.request = request;
    this.since = since;
    this.timeout = timeout;
  }

  /** Aborted when it is of no use to wait any longer; the reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins a new attempt, which what has ended the last one does not end. */
  renew(): void {
    this.#controller = new AbortController();
  }

  /** Gives it up, since the instance that has it has ended. */
  instanceGone(): void {
    this.abort(new InstanceGone());
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
 * requests are answered before it comes round, and then they have cost next to nothing.
 */
export class UnansweredRequests {
  readonly #clock: Clock;
  readonly #waiting = new SwapList<UnansweredRequest>();
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @param timeout How long the answer's headers may take, ms. */
  add(request: Request, timeout: number): UnansweredRequest {
    const unanswered = new UnansweredRequest(request, this.#clock.now(), timeout);
    this.#waiting.add(unanswered);
    this.#stopTicking ??= this.#clock.every(TICK_MS, () => this.#tick());
    return unanswered;
  }

  /** Takes out a request that has been answered. */
  delete(unanswered: UnansweredRequest): void {
    this.#waiting.delete(unanswered);
  }

  /** Gives up all that still wait. */
  abortAll(reason: Error): void {
    for (const unanswered of this.#waiting.list()) unanswered.abort(reason);
  }

  #tick(): void {
    if (this.#waiting.size === 0) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
      return;
    }
    const now = this.#clock.now();
    for (const unanswered of this.#waiting.list()) this.#look(unanswered, now);
  }

  #look(unanswered: UnansweredRequest, now: number): void {
    if (unanswered.upload !== undefined && unanswered.upload.moved !== unanswered.moved) {
      unanswered.moved = unanswered.upload.moved;
      unanswered.since += TICK_MS;
    }
    // Asking for a request's signal is dear, and a young request will be answered soon.
    if (++unanswered.ticks >= 2 && unanswered.request.signal.aborted) {
      unanswered.abort(new ClientGone());
    } else if (now >= unanswered.since + unanswered.timeout) {
      unanswered.abort(new ClessError("upstream_timeout", "The service did not answer in time"));
    }
  }
}
