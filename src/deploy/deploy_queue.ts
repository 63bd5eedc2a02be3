interface Call {
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

/** The deploys that are on their way: those of one service one after the other, and all of them may be called off. */
export class DeployQueue {
  readonly #queue = new QueueByName();
  readonly #calls = new Map<string, Set<Call>>();
  /** Why none is taken any more. */
  #closed: Error | undefined;

  /**
   * Does one once all that came before it under the name have ended.
   *
   * @param signal Calls this one off.
   * @param work Gets a signal that is aborted when the deploy is called off, by whomever.
   */
  async run<T>(name: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    const abort = new AbortController();
    const end = signal === undefined ? abort.signal : AbortSignal.any([signal, abort.signal]);
    const done = this.#queue.run(name, () => {
      end.throwIfAborted();
      return work(end);
    });
    const calls = this.#calls.get(name) ?? new Set();
    const call = { abort, done };
    this.#calls.set(name, calls.add(call));
    try {
      return await done;
    } finally {
      calls.delete(call);
      if (calls.size === 0 && this.#calls.get(name) === calls) this.#calls.delete(name);
    }
  }

  /** Takes no more, calls off those that are on their way, and resolves when they have ended. */
  async close(reason: Error): Promise<void> {
    this.#closed = reason;
    await Promise.all([...this.#calls.keys()].map((name) => this.callOff(name, reason)));
  }

  /** Calls off all deploys of a service that have been asked for until now, and resolves when they have ended. */
  async callOff(name: string, reason: Error): Promise<void> {
    const calls = [...this.#calls.get(name) ?? []];
    for (const { abort } of calls) abort.abort(reason);
    await Promise.allSettled(calls.map(({ done }) => done));
  }
}

/** Does one thing at a time under each name, in the order in which it was asked; names do not wait for each other. */
export class QueueByName {
  readonly #tails = new Map<string, Promise<void>>();

  /** Does something once all that was asked before under the name has ended, well or not. */
  run<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const done = (this.#tails.get(name) ?? Promise.resolve()).then(work);
    const tail = done.then(() => {}, () => {}).then(() => {
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    });
    this.#tails.set(name, tail);
    return done;
  }
}
