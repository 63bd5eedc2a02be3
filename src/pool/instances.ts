import type { InstanceState } from "../model/instance_state.ts";
import type { Instance } from "./instance.ts";

/** The instances of a revision that have not ended, and which of them are being started or resumed. */
export class Instances implements Iterable<Instance> {
  readonly #all = new Set<Instance>();
  readonly #coming = new Map<Instance, Promise<void>>();

  [Symbol.iterator](): Iterator<Instance> {
    return this.#all.values();
  }

  /** How many serve, or could soon. */
  get live(): number {
    return count(this.#all, "starting", "ready", "paused");
  }

  /** How many are being started or resumed; one whose start was called off is not. */
  get coming(): number {
    return count(this.#coming.keys(), "starting", "paused");
  }

  /** The paused ones that nobody resumes; the one that was used last comes first. */
  get sleepers(): Instance[] {
    return [...this.#all].filter((one) => one.state === "paused" && !this.#coming.has(one))
      .sort((a, b) => b.idleSince - a.idleSince);
  }

  /** Whether an instance is being started or resumed. */
  isComing(instance: Instance): boolean {
    return this.#coming.has(instance);
  }

  add(instance: Instance): void {
    this.#all.add(instance);
  }

  delete(instance: Instance): void {
    this.#all.delete(instance);
  }

  /**
   * Notes that an instance is being started or resumed.
   *
   * @param done Is told when that has come to its end, and with what error, if any.
   */
  track(instance: Instance, coming: Promise<void>, done: (error: unknown) => void): void {
    const came = coming.then(() => undefined, (error: unknown) => error).then((error) => {
      this.#coming.delete(instance);
      done(error);
    });
    this.#coming.set(instance, came);
  }

  /** Resolves when no start or resume is on its way. */
  async settled(): Promise<void> {
    while (this.#coming.size > 0) await Promise.all(this.#coming.values());
  }
}

function count(instances: Iterable<Instance>, ...states: InstanceState[]): number {
  let found = 0;
  for (const { state } of instances) if (states.includes(state)) found++;
  return found;
}
