interface Call {
  readonly name: string;
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

/** The running deploys. Those of one service run one after the other; all can be called off. */
export class DeployQueue {
  readonly #queue = new QueueByName();
  readonly #calls = new Set<Call>();
  /** Set once no more deploys are accepted. */
  #closed: Error | undefined;

  /**
   * Runs a deploy after the earlier ones of the same service, unless `signal` is aborted. `work` gets a signal that is
   * aborted when the deploy is called off for any reason.
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

  /** Refuses deploys from now on; resolves when the running ones have ended. */
  async pause(reason: Error): Promise<void> {
    this.#closed = reason;
    await Promise.allSettled([...this.#calls].map(({ done }) => done));
  }

  /** Accepts deploys again. */
  resume(): void {
    this.#closed = undefined;
  }

  /** Accepts no more deploys, calls off the running ones, and resolves when they have ended. */
  async close(reason: Error): Promise<void> {
    this.#closed = reason;
    await callOff([...this.#calls], reason);
  }

  /** Calls off the running deploys of a service, and resolves when they have ended. */
  async callOff(name: string, reason: Error): Promise<void> {
    await callOff([...this.#calls].filter((call) => call.name === name), reason);
  }
}

async function callOff(calls: readonly Call[], reason: Error): Promise<void> {
  for (const { abort } of calls) abort.abort(reason);
  await Promise.allSettled(calls.map(({ done }) => done));
}

/** Runs one piece of work at a time per name, first in first out. Different names do not wait for each other. */
export class QueueByName {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs work after the earlier work of that name has ended in any way. */
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
