interface Call {
  readonly name: string;
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

/** The running deploys. Deploys of one service run one after the other. Every deploy can be cancelled. */
export class DeployQueue {
  readonly #queue = new QueueByName();
  readonly #calls = new Set<Call>();
  /** Set once no more deploys are accepted. */
  #closed: Error | undefined;

  /** Whether a deploy of a service is running or waits for another one. */
  has(name: string): boolean {
    for (const call of this.#calls) if (call.name === name) return true;
    return false;
  }

  /**
   * Runs a deploy after the earlier ones of the same service, unless `signal` is aborted first. `work` gets a signal
   * that is aborted when the deploy is cancelled for any reason.
   */
  async run<T>(name: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    const abort = new AbortController();
    const end = signal === undefined ? abort.signal : AbortSignal.any([signal, abort.signal]);
    const done = this.#queue.run(name, () => {
      end.throwIfAborted();
      return work(end);
    });
    const call = { name, abort, done };
    this.#calls.add(call);
    try {
      return await done;
    } finally {
      this.#calls.delete(call);
    }
  }

  /** Refuses new deploys from now on. Resolves when the running ones have ended. */
  async pause(reason: Error): Promise<void> {
    this.#closed = reason;
    await Promise.allSettled([...this.#calls].map(({ done }) => done));
  }

  /** Accepts deploys again. */
  resume(): void {
    this.#closed = undefined;
  }

  /** Refuses new deploys, cancels the running ones, and resolves when they have ended. */
  async close(reason: Error): Promise<void> {
    this.#closed = reason;
    await cancel([...this.#calls], reason);
  }

  /** Cancels the running deploys of a service, and resolves when they have ended. */
  async cancel(name: string, reason: Error): Promise<void> {
    await cancel([...this.#calls].filter((call) => call.name === name), reason);
  }
}

async function cancel(calls: readonly Call[], reason: Error): Promise<void> {
  for (const { abort } of calls) abort.abort(reason);
  await Promise.allSettled(calls.map(({ done }) => done));
}

/** Runs one piece of work at a time per name, first in first out. Different names do not wait for each other. */
export class QueueByName {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs work once the earlier work of that name has succeeded or failed. */
  run<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const done = (this.#tails.get(name) ?? Promise.resolve()).then(work);
    const tail = done.then(() => {}, () => {}).then(() => {
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    });
    this.#tails.set(name, tail);
    return done;
  }

  /** Resolves when the present work of all names has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#tails.values());
  }
}
