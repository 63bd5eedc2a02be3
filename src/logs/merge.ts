/** Merges several iterators in the order in which their values arrive. It ends only when the signal is aborted. */
export class Merge<T> {
  readonly #signal: AbortSignal;
  readonly #sources = new Set<AsyncIterator<T>>();
  readonly #ready: { readonly source: AsyncIterator<T>; readonly value: T }[] = [];
  #news = Promise.withResolvers<void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#news.resolve(), { once: true });
  }

  /** Adds an iterator, which must not reject; reads one value ahead. */
  add(source: AsyncIterator<T>): void {
    this.#sources.add(source);
    this.#pull(source);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    while (!this.#signal.aborted) {
      const next = this.#ready.shift();
      if (next === undefined) {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      } else {
        yield next.value;
        this.#pull(next.source);
      }
    }
  }

  /** Ends all iterators, and resolves when they have ended. The signal must be aborted before. */
  async close(): Promise<void> {
    await Promise.all([...this.#sources].map((source) => source.return?.()));
  }

  async #pull(source: AsyncIterator<T>): Promise<void> {
    const { done, value } = await source.next();
    if (done) this.#sources.delete(source);
    else this.#ready.push({ source, value });
    this.#news.resolve();
  }
}
