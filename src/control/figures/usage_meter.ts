import { atMost } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { isAsleep } from "../../model/instance_state.ts";
import type { Instance } from "../../pool/instance.ts";
import type { Launcher, Usage } from "../../pool/launcher.ts";
import type { Cost, Costs } from "./costs.ts";
import type { OtherUsages } from "./other_usages.ts";

const log = logger("figures");
/** After a change, containers are measured soon, but not more often than this. */
const MIN_INTERVAL_MS = 5000;
/** Those who look get a measurement that is not older than this. */
const MAX_AGE_MS = 1000;
/** If the engine is slow, those who look get the last measurement after this time. */
const LOOK_TIMEOUT_MS = 1000;

/** What {@linkcode UsageMeter} works with. */
export interface UsageMeterOptions {
  readonly clock: Clock;
  readonly launcher: Pick<Launcher, "usage">;
  readonly fleet: Pick<Fleet, "instances">;
  readonly costs: Pick<Costs, "changed" | "measured" | "of">;
  /** Those on other machines, if there may be some. */
  readonly others?: Pick<OtherUsages, "read"> | undefined;
}

/** Measures what instances use: for all who look together, and for the costs of services while something is awake. */
export class UsageMeter {
  readonly #options: UsageMeterOptions;
  #isRunning = false;
  #cancelMeasuring: (() => void) | undefined;
  #measuring: Promise<void> | undefined;
  #measuredMs = -Infinity;
  /** What was measured last. */
  #usages: ReadonlyMap<string, Usage> = new Map();
  /** Whether an instance has become ready since: its readings are missing. */
  #hasNew = false;
  /** The sum of all instances' `changes` at the last {@linkcode keepUp}. */
  #changes = 0;

  constructor(options: UsageMeterOptions) {
    this.#options = options;
  }

  /** Begins to measure. Call it when all instances of an earlier process are known. */
  start(): void {
    this.#isRunning = true;
    this.#measureSoon();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelMeasuring?.();
    this.#cancelMeasuring = undefined;
  }

  /** Call it for a new instance, and for each change of state. */
  changed(instance: Instance): void {
    this.#options.costs.changed(instance);
    if (instance.state === "ready") this.#hasNew = true;
    // Nothing can be read of an app that has ended, and what sleeps is not measured again.
    if (isAsleep(instance.state) || instance.state === "draining") this.#measureSoon();
  }

  /** Measures if something is awake or has changed since the last call. Call it periodically. */
  async keepUp(): Promise<void> {
    const instances = this.#options.fleet.instances();
    const changes = instances.reduce((sum, { changes }) => sum + changes, 0);
    const isAwake = instances.some(({ state }) => !isAsleep(state));
    // The memory of a paused instance may have been moved to the swap.
    if (isAwake || changes !== this.#changes) await this.#measure();
    this.#changes = changes;
  }

  /**
   * What services cost now, by a measurement of the last second that has all ready instances; without those that have
   * never started. Of other machines, it has what their instances use now.
   */
  async costs(services: readonly string[]): Promise<Map<string, Cost>> {
    const [others] = await Promise.all([this.#lookElsewhere(), this.#look()]);
    const { costs, fleet } = this.#options;
    const elsewhere = Map.groupBy(
      others.size === 0 ? [] : fleet.instances().filter(({ id }) => others.has(id) && !this.#usages.has(id)),
      ({ revision }) => revision.service,
    );
    return new Map(services.flatMap((service) => {
      const cost = costs.of(service);
      if (cost === undefined) return [];
      const more = (elsewhere.get(service) ?? []).map(({ id }) => others.get(id)!);
      const memoryBytes = more.reduce((sum, { bytes }) => sum + bytes, cost.memoryBytes);
      const swapBytes = more.reduce((sum, { swapBytes = 0 }) => sum + swapBytes, cost.swapBytes);
      return [[service, { ...cost, memoryBytes, swapBytes }]];
    }));
  }

  /** What each instance of this machine uses now, by its id; by the same measurement as {@linkcode costs}. */
  async usages(): Promise<ReadonlyMap<string, Usage>> {
    await this.#look();
    return this.#usages;
  }

  /** What each instance uses now, on whichever machine, by its id; without those of machines that do not answer. */
  async allUsages(): Promise<ReadonlyMap<string, Usage>> {
    const [others, own] = await Promise.all([this.#lookElsewhere(), this.usages()]);
    return new Map([...others, ...own]);
  }

  async #lookElsewhere(): Promise<ReadonlyMap<string, Usage>> {
    return await this.#options.others?.read() ?? new Map<string, Usage>();
  }

  /** Measures for those who look, unless the last measurement is good enough. */
  async #look(): Promise<void> {
    const { clock } = this.#options;
    const isOld = this.#hasNew || clock.now() - this.#measuredMs >= MAX_AGE_MS;
    const isDue = this.#isRunning && isOld;
    if (isDue || this.#measuring !== undefined) await atMost(this.#measure(), clock, LOOK_TIMEOUT_MS);
  }

  #measureSoon(): void {
    if (!this.#isRunning || this.#cancelMeasuring !== undefined) return;
    const { clock } = this.#options;
    const waitMs = Math.max(0, this.#measuredMs + MIN_INTERVAL_MS - clock.now());
    this.#cancelMeasuring = clock.after(waitMs, () => {
      this.#cancelMeasuring = undefined;
      this.#measure();
    });
  }

  #measure(): Promise<void> {
    return this.#measuring ??= this.#read().finally(() => this.#measuring = undefined);
  }

  async #read(): Promise<void> {
    const { clock, costs, fleet, launcher } = this.#options;
    this.#measuredMs = clock.now();
    this.#hasNew = false;
    try {
      this.#usages = await launcher.usage();
      costs.measured(fleet.instances(), this.#usages); // not those of before: some may have ended
    } catch (error) {
      log.debug("cannot measure the containers", { reason: messageOf(error) });
    }
  }
}
