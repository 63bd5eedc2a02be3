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
