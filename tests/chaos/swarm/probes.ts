import { type Outcome, SteadyLoad } from "../../swarm/steady_load.ts";

/** From then on a request is slow, ms. */
export const SLOW_MS = 1000;

/** A service that is asked now and then. */
export interface Probe {
  readonly service: string;
  readonly perSecond: number;
  /** Whether each request has to be answered, and that soon; or only that, since it starts an instance each time. */
  readonly must: "be fast" | "be answered" | undefined;
}

/** A few requests for each service, over the cless that live, of which it is known when each was slow. */
export class Probes implements AsyncDisposable {
  /** The numbers of the nodes that are asked. */
  readonly live: Set<number>;
  /** The numbers of those that run no tasks. */
  readonly away = new Set<number>();
  readonly #addresses: string[] = [];
  /** When which node was left out. */
  readonly #left: { readonly address: string; readonly atMs: number }[] = [];
  readonly #addressOf: (number: number) => string;
  #stopped: Promise<unknown> | undefined;
  readonly #loads: readonly { readonly probe: Probe; readonly load: SteadyLoad }[];

  constructor(probes: readonly Probe[], numbers: readonly number[], addressOf: (number: number) => string) {
    this.live = new Set(numbers);
    this.#addressOf = addressOf;
    this.#changed();
    this.#loads = probes.map((probe) => ({
      probe,
      load: new SteadyLoad(this.#addresses, probe.service, probe.perSecond),
    }));
  }

  get services(): string[] {
    return this.#loads.map(({ probe }) => probe.service);
  }

  /** Since the first request, ms. */
  get nowMs(): number {
    return this.#loads[0]!.load.nowMs;
  }

  /** What became of those that had to be answered: of all, but those in flight at a cless that was about to be lost. */
  get outcomes(): Outcome[] {
    return this.#outcomesOf(({ must }) => must !== undefined);
  }

  leaveOut(number: number): void {
    this.#left.push({ address: this.#addressOf(number), atMs: this.nowMs });
    this.live.delete(number);
    this.#changed();
  }

  takeBack(number: number): void {
    this.live.add(number);
    this.#changed();
  }

  /** Until when after a moment, and before the next one, requests took long; ms. */
  slowFor(fromMs: number, toMs: number): number {
    const slow = this.#outcomesOf(({ must }) => must === "be fast").filter(({ atMs, tookMs }) =>
      tookMs > SLOW_MS && atMs + tookMs > fromMs && atMs < toMs
    );
    return Math.max(0, ...slow.map(({ atMs, tookMs }) => atMs + tookMs - fromMs));
  }

  /** Ends them, and resolves when all is answered. */
  stop(): Promise<unknown> {
    return this.#stopped ??= Promise.all(this.#loads.map(({ load }) => load.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #outcomesOf(which: (probe: Probe) => boolean): Outcome[] {
    const all = this.#loads.flatMap(({ load, probe }) => which(probe) ? load.outcomes : []);
    return all.filter(({ address, atMs, tookMs }) =>
      !this.#left.some((left) => left.address === address && left.atMs >= atMs && left.atMs <= atMs + tookMs)
    );
  }

  #changed(): void {
    this.#addresses.splice(0, Infinity, ...[...this.live].map(this.#addressOf));
  }
}
