import type { InstanceOutputs, OutputLine, OutputOptions, OutputOwner } from "../../src/logs/instance_output.ts";

/** An instance of a {@linkcode FakeOutputs}. */
interface FakeInstance {
  owner: OutputOwner;
  readonly service: string;
  readonly lines: OutputLine[];
  /** Why it cannot be read. */
  failure?: Error;
  /** How many of its last lines a follower does not get. */
  lost: number;
  readonly bells: Set<() => void>;
}

/** The time so many nanoseconds after a fixed moment. */
export function at(nanos: number): string {
  return `2026-01-02T03:04:05.${String(nanos).padStart(9, "0")}Z`;
}

/** Instances whose output is what a test says. */
export class FakeOutputs implements InstanceOutputs {
  /** Which instances were read, and with which options. */
  readonly reads: { id: string; options: Omit<OutputOptions, "signal"> }[] = [];
  /** How many readers there are now, and how many lines were given to readers. */
  readers = 0;
  given = 0;
  readonly watchers = new Set<(service: string, owner: OutputOwner) => void>();
  readonly #instances = new Map<string, FakeInstance>();

  /** Starts an instance, and tells the watchers of it. */
  start(id: string, { service = "app", revision = "app-00001" } = {}): void {
    this.add(id, [], { service, revision });
    this.tell(id);
  }

  /** Tells the watchers that an instance runs. */
  tell(id: string): void {
    const { owner, service } = this.#get(id);
    for (const watcher of this.watchers) watcher(service, owner);
  }

  /** Adds an instance that has written something, to `stdout` unless the text begins with a `!`. */
  add(
    id: string,
    lines: [nanos: number, text: string][],
    { service = "app", revision = "app-00001", endedAt }: { service?: string; revision?: string; endedAt?: number } =
      {},
  ): void {
    const owner = { id, revision, ...(endedAt === undefined ? {} : { endedAt }) };
    this.#instances.set(id, { owner, service, lines: [], lost: 0, bells: new Set() });
    for (const [nanos, text] of lines) this.write(id, nanos, text);
  }

  write(id: string, nanos: number, text: string): void {
    const instance = this.#get(id);
    instance.lines.push({ stream: text.startsWith("!") ? "stderr" : "stdout", time: at(nanos), text });
    for (const ring of instance.bells) ring();
  }

  fail(id: string, failure: Error | undefined): void {
    if (failure === undefined) delete this.#get(id).failure;
    else this.#get(id).failure = failure;
  }

  /** Ends an instance. @param lost How many of its last lines a follower does not get. */
  end(id: string, endedAt: number, lost = 0): void {
    const instance = this.#get(id);
    instance.owner = { ...instance.owner, endedAt };
    instance.lost = lost;
    for (const ring of instance.bells) ring();
  }

  list(service: string): OutputOwner[] {
    return [...this.#instances.values()].filter((one) => one.service === service).map(({ owner }) => owner);
  }

  watch(service: string, started: (instance: OutputOwner) => void): () => void {
    const watcher = (of: string, owner: OutputOwner) => of === service && started(owner);
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  async *read(id: string, { signal, ...options }: OutputOptions): AsyncGenerator<OutputLine> {
    this.reads.push({ id, options });
    const instance = this.#get(id);
    this.readers++;
    try {
      await Promise.resolve(); // a command does not fail at once
      if (instance.failure !== undefined) throw instance.failure;
      const { follow, since = "", tail = Infinity } = options;
      const from = instance.lines.findIndex(({ time }) => time! >= since);
      const first = from === -1 ? instance.lines.length : from;
      const begin = Math.max(first, instance.lines.length - tail);
      const count = () => instance.lines.length;
      for (let next = begin; !signal.aborted;) {
        const ended = instance.owner.endedAt !== undefined;
        if (next < count() - (follow && ended ? instance.lost : 0)) {
          this.given++;
          yield instance.lines[next++]!;
        } else if (!follow || ended) return;
        else await this.#news(instance, signal);
      }
    } finally {
      this.readers--;
    }
  }

  async #news({ bells }: FakeInstance, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    bells.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    bells.delete(resolve);
  }

  #get(id: string): FakeInstance {
    const instance = this.#instances.get(id);
    if (instance === undefined) throw new Error(`No such instance: ${id}`);
    return instance;
  }
}
