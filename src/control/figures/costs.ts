import { defined } from "../../model/defined.ts";
import { isAsleep } from "../../model/instance_state.ts";
import type { Instance } from "../../pool/instance.ts";
import type { Usage } from "../../pool/launcher.ts";
import type { CostRecord } from "./records.ts";

type Measured = Pick<Instance, "id" | "revision" | "state">;

/** What a service costs. */
export interface Cost {
  /** When its first instance started; wall-clock time, ms since 1970. */
  readonly since: number;
  /** What its instances use now. */
  readonly memoryBytes: number;
  readonly swapBytes: number;
  /** What one of its instances takes while it is awake, by the last measurement; 0 before the first one. */
  readonly awakeBytes: number;
  /** The rest counts from the first start. */
  readonly cpuSeconds: number;
  /** RAM, multiplied by the time. */
  readonly usedByteSeconds: number;
  /** How much more one instance that is always awake would have used; negative if it would have used less. */
  readonly savedByteSeconds: number;
}

/** The cost of each service that has ever started. `Figures` measures and stores it. */
export class Costs {
  readonly #now: () => number;
  readonly #records = new Map<string, CostRecord>();
  /** Whether the readings may be those of an earlier process, whose instances may be gone. */
  #isLoaded = false;
  /** The services whose record has changed since {@linkcode clean}. */
  readonly #changed = new Set<string>();

  /** @param now Wall-clock time, ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes what an earlier process has stored. */
  load(records: readonly CostRecord[]): void {
    for (const record of records) this.#records.set(record.service, record);
    this.#isLoaded = true;
  }

  /** Call it for a new instance, and for each change of state. */
  changed({ id, revision: { service }, state }: Measured): void {
    const now = this.#now();
    const record = this.#records.get(service);
    if (state === "starting") this.#put(withNew(record ?? newRecord(service, now), id, now));
    else if (record !== undefined && (state === "stopped" || state === "failed")) this.#put(without(record, id, now));
  }

  /** Takes a measurement. @param instances All that there are: others have ended. */
  measured(instances: readonly Measured[], usages: ReadonlyMap<string, Usage>): void {
    const byService = Map.groupBy(instances, ({ revision: { service } }) => service);
    for (const stored of this.#records.values()) {
      const own = byService.get(stored.service) ?? [];
      if (own.length === 0 && Object.keys(stored.readings).length === 0) continue;
      const record = this.#isLoaded ? withOnly(stored, own) : stored;
      const next = measure(record, own, usages, this.#now());
      // What sleeps and has not changed goes on costing the same: the stored record says that already.
      const isSame = JSON.stringify(next.readings) === JSON.stringify(stored.readings);
      if (!isSame || !own.every(({ state }) => isAsleep(state))) this.#put(next);
    }
    this.#isLoaded = false;
  }

  /** What a service costs, by the last measurement; `undefined` if it has never started. */
  of(service: string): Cost | undefined {
    const record = this.#records.get(service);
    if (record === undefined) return undefined;
    const { processorNs, readings, savedByteS, since, usedByteS, wholeBytes } = charged(record, this.#now());
    const now = Object.values(readings);
    return {
      since,
      memoryBytes: now.reduce((sum, { bytes }) => sum + bytes, 0),
      swapBytes: now.reduce((sum, { swapBytes = 0 }) => sum + swapBytes, 0),
      awakeBytes: wholeBytes,
      cpuSeconds: processorNs / 1e9,
      usedByteSeconds: usedByteS,
      savedByteSeconds: savedByteS,
    };
  }

  /** The RAM of one instance of a service while it is awake, paused or hibernated, as far as it was measured. */
  ofTiers(service: string): Pick<CostRecord, "wholeBytes" | "pausedBytes" | "hibernatedBytes"> | undefined {
    return this.#records.get(service);
  }

  /** The records that have changed since {@linkcode clean}. */
  get dirty(): CostRecord[] {
    return [...this.#changed].flatMap((service) => this.#records.get(service) ?? []);
  }

  /** Notes that the changed records are stored. */
  clean(): void {
    this.#changed.clear();
  }

  forget(service: string): void {
    this.#records.delete(service);
    this.#changed.delete(service);
  }

  #put(record: CostRecord): void {
    this.#records.set(record.service, record);
    this.#changed.add(record.service);
  }
}

function newRecord(service: string, now: number): CostRecord {
  return { service, since: now, at: now, processorNs: 0, usedByteS: 0, savedByteS: 0, wholeBytes: 0, readings: {} };
}

/** Charges a service for its RAM since the last charge. */
function charged(record: CostRecord, now: number): CostRecord {
  const seconds = Math.max(0, now - record.at) / 1000; // the clock may have been set back
  const bytes = Object.values(record.readings).reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    ...record,
    at: now,
    usedByteS: record.usedByteS + bytes * seconds,
    savedByteS: record.savedByteS + (record.wholeBytes - bytes) * seconds,
  };
}

/** Adds an instance. Until it is measured, it counts like one that is awake. */
function withNew(record: CostRecord, id: string, now: number): CostRecord {
  if (record.readings[id] !== undefined) return record; // an earlier process has started it
  return { ...charged(record, now), readings: { ...record.readings, [id]: { bytes: record.wholeBytes } } };
}

/** Leaves out instances that ended while no process of cless ran. Nobody knows when, so that time costs nothing. */
function withOnly(record: CostRecord, instances: readonly Measured[]): CostRecord {
  const present = instances.flatMap(({ id }) => record.readings[id] === undefined ? [] : [[id, record.readings[id]]]);
  return { ...record, readings: Object.fromEntries(present) };
}

function without(record: CostRecord, id: string, now: number): CostRecord {
  const { [id]: _, ...readings } = record.readings;
  return { ...charged(record, now), readings };
}

/** Charges a service, and takes a measurement of its instances. An instance that is not measured keeps its reading. */
function measure(
  record: CostRecord,
  instances: readonly Measured[],
  usages: ReadonlyMap<string, Usage>,
  now: number,
): CostRecord {
  let { hibernatedBytes, pausedBytes, processorNs, wholeBytes } = record;
  const readings: Record<string, Usage> = {};
  const whole: number[] = [];
  for (const { id, state } of instances) {
    const before = record.readings[id];
    const usage = usages.get(id);
    const reading = usage ?? before;
    if (reading !== undefined) readings[id] = reading;
    if (usage === undefined) continue;
    const usedNs = before?.processorNs ?? 0;
    const { processorNs: nowNs = usedNs } = usage;
    processorNs += nowNs < usedNs ? nowNs : nowNs - usedNs; // the kernel counts from zero after a restart in its place
    if (state !== "starting") whole.push(usage.bytes + (usage.swapBytes ?? 0));
    if (state === "paused") pausedBytes = usage.bytes;
    if (state === "hibernated") hibernatedBytes = usage.bytes;
  }
  if (whole.length > 0) wholeBytes = Math.round(whole.reduce((sum, bytes) => sum + bytes, 0) / whole.length);
  const tiers = defined({ pausedBytes, hibernatedBytes });
  return { ...charged(record, now), ...tiers, processorNs, wholeBytes, readings };
}
