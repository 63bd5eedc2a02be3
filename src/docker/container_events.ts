import type { Clock } from "../base/clock.ts";
import type { ContainerEvent } from "../pool/launcher.ts";

const WHAT: Record<string, ContainerEvent["what"]> = {
  pause: "paused",
  unpause: "resumed",
  die: "ended",
};

/** A signal says for so long why its container has ended, ms: who asks an app to end may give it a while. */
const SIGNAL_HOLDS_MS = 60_000;
/** The kernel's kill says so for so long, ms: the end comes with it, but an engine under load tells it seconds later. */
const OUT_OF_MEMORY_HOLDS_MS = 5000;
/** What a process ends with that was killed. */
const KILLED = 137;

/**
 * Understands what the engine tells of containers. Why one has ended, events before the end tell: one of the kernel's kill,
 * where memory was short, and one of each signal that somebody has the engine send. What ends by itself has neither.
 */
export class ContainerEvents {
  readonly #outOfMemory: Recent;
  readonly #signals: Recent;

  constructor(clock: Pick<Clock, "now">) {
    this.#outOfMemory = new Recent(clock, OUT_OF_MEMORY_HOLDS_MS);
    this.#signals = new Recent(clock, SIGNAL_HOLDS_MS);
  }

  /** @returns What has happened; `undefined` where that changes no container, or it is not known of which it is told. */
  read(action: string, { name, exitCode }: Readonly<Record<string, string>>): ContainerEvent | undefined {
    if (name === undefined) return undefined;
    if (action === "oom") this.#outOfMemory.note(name);
    if (action === "kill") this.#signals.note(name);
    const what = WHAT[action];
    if (what !== "ended") return what && { id: name, what };
    const byHand = this.#signals.take(name);
    // An app may go on without one of its processes, and end for another reason.
    const oom = this.#outOfMemory.take(name) && !byHand && exitCode === `${KILLED}`;
    return { id: name, what, byHand, oom, ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }) };
  }
}

/** What was told of containers lately. */
class Recent {
  readonly #clock: Pick<Clock, "now">;
  readonly #holdsMs: number;
  /** In the clock's ms, by name; the oldest first. */
  readonly #told = new Map<string, number>();

  constructor(clock: Pick<Clock, "now">, holdsMs: number) {
    this.#clock = clock;
    this.#holdsMs = holdsMs;
  }

  note(name: string): void {
    this.#told.delete(name);
    this.#told.set(name, this.#clock.now());
    for (const [name, at] of this.#told) {
      if (this.#holds(at)) break;
      this.#told.delete(name);
    }
  }

  /** Whether it was told; afterwards it is forgotten. */
  take(name: string): boolean {
    const at = this.#told.get(name);
    return this.#told.delete(name) && this.#holds(at!);
  }

  #holds(at: number): boolean {
    return this.#clock.now() - at <= this.#holdsMs;
  }
}
