/** What became of a request. */
export interface Outcome {
  /** When it was due, ms since the load began. */
  readonly atMs: number;
  /** How long it took. */
  readonly tookMs: number;
  /** The status, or why there was none. */
  readonly answer: number | string;
  /** The node that was asked. */
  readonly address: string;
  /** What was answered beside a status other than 200. */
  readonly text?: string;
  /** Why, in a word of cless; empty if it says nothing. */
  readonly code?: string;
}

/** Requests at a steady rate, whatever has become of those before, over several cless in turn. */
export class SteadyLoad implements AsyncDisposable {
  readonly outcomes: Outcome[] = [];
  readonly #client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 1000 });
  readonly #open = new Set<Promise<void>>();
  readonly #began = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  /** How often an address gave each answer. */
  readonly #texts = new Map<string, number>();
  #sent = 0;
  #hasStopped = false;

  /**
   * @param addresses Of the nodes whose cless are asked; they may change meanwhile.
   * @param perSecond Requests for all of them together.
   */
  constructor(addresses: readonly string[], label: string, perSecond: number) {
    const ask = (address: string) => this.#ask(address, label);
    this.#timer = setInterval(() => {
      const due = this.nowMs * perSecond / 1000;
      for (; this.#sent < due; this.#sent++) {
        const asked = ask(addresses[this.#sent % addresses.length]!).finally(() => this.#open.delete(asked));
        this.#open.add(asked);
      }
    }, 5);
  }

  /** Since the load began. */
  get nowMs(): number {
    return performance.now() - this.#began;
  }

  /** Ends it, and resolves when all is answered. */
  async stop(): Promise<void> {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    this.#client.close();
  }

  /** Ends it, also after a check that has failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The requests that were not answered with 200. */
  get failed(): Outcome[] {
    return this.outcomes.filter(({ answer }) => answer !== 200);
  }

  /** How many requests were answered so, with 200, by the cless of a node. */
  count(address: string, text: string): number {
    return this.#texts.get(`${address} ${text}`) ?? 0;
  }

  /** When the last request was due that took longer than that, ms since the load began; 0 if none did. */
  lastSlowMs(limitMs: number): number {
    return Math.max(0, ...this.outcomes.filter(({ tookMs }) => tookMs > limitMs).map(({ atMs }) => atMs));
  }

  async #ask(address: string, label: string): Promise<void> {
    const atMs = this.nowMs;
    const end = (answer: number | string, more: Pick<Outcome, "code" | "text"> = {}) =>
      this.outcomes.push({ atMs, tookMs: this.nowMs - atMs, address, answer, ...more });
    try {
      const headers = { host: `${label}.localhost` };
      const signal = AbortSignal.timeout(60_000);
      const response = await fetch(`http://${address}/`, { client: this.#client, headers, signal });
      const text = await response.text();
      if (response.status !== 200) {
        return void end(response.status, { text, code: response.headers.get("cless-error") ?? "" });
      }
      const key = `${address} ${text}`;
      this.#texts.set(key, (this.#texts.get(key) ?? 0) + 1);
      end(200);
    } catch (error) {
      end(String(error));
    }
  }
}
