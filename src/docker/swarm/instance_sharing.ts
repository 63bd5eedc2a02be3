import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { ContainerGone, EngineAway, NotNow, type Sharing } from "../../pool/launcher.ts";
import type { OwnContainers } from "../own_containers.ts";
import type { Homes } from "./homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "./peers.ts";

const log = logger("launcher");
/** A change of what is declared is known to all within this time, as a rule. */
const NEWS_MS = 300;
/** An answer that comes once the requests of the others have ended may take this much longer. */
const MORE_TIME_MS = 1000;
/** A stop of an app takes no longer than this, its grace time included. */
const STOP_MS = 15_000;

/** What {@linkcode InstanceSharing} is made of. */
export interface InstanceSharingParts {
  /** The containers of this node. */
  readonly containers: Pick<OwnContainers, "pause" | "resume">;
  readonly homes: Homes;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly drainTimeoutMs: number;
}

/**
 * Agrees with the other cless of the owner when an instance sleeps and ends, and has it woken. What is done with a
 * container is done by the cless on its node.
 */
export class InstanceSharing implements Sharing {
  readonly #parts: InstanceSharingParts;
  /** Of the instances that are being paused, or may be about to end, whether somebody uses each again. */
  readonly #unused = new Map<string, { again: boolean; readonly isPausing: boolean }>();
  /** The paused instances whose home did not answer when it was last asked to resume them. */
  readonly #unanswered = new Set<string>();

  constructor(parts: InstanceSharingParts) {
    this.#parts = parts;
  }

  isOurs(id: string): boolean {
    return this.#parts.homes.isOurs(id);
  }

  async mayEnd(id: string, idleMs: number): Promise<void> {
    await this.#whileUnused(id, false, () => this.#askToYield(id, "ended", idleMs));
  }

  runsOn(id: string): void {
    this.#tell({ resumed: id });
  }

  /** Says where an instance of this node runs. */
  runsHere(id: string, origin: string): void {
    this.#tell({ started: id, on: this.#parts.homes.self, origin });
  }

  /** Pauses an instance of this node once nobody uses it. */
  async pause(id: string, idleMs: number): Promise<void> {
    const { containers, homes } = this.#parts;
    if (!homes.isHere(id)) throw new NotNow("no cless runs on the node of the container");
    await this.#whileUnused(id, true, async (use) => {
      await this.#askToYield(id, "paused", idleMs);
      if (use.again) return;
      try {
        await containers.pause(id);
      } catch (error) {
        // If it has failed in another way, the pool resumes the container, which tells the others.
        if (error instanceof NotNow) this.#tell({ resumed: id });
        throw error;
      }
      if (use.again) await containers.resume(id);
    });
  }

  /** Resumes an instance, by its home if that is another cless. */
  async resume(id: string): Promise<void> {
    const { homes } = this.#parts;
    if (homes.isHere(id)) {
      await this.#parts.containers.resume(id);
      this.#tell({ resumed: id });
    } else await this.#askToResume(id);
  }

  /** Resumes an instance of this node for another cless, which is told by the answer. */
  async resumeFor(id: string, from: string): Promise<void> {
    const use = this.#unused.get(id);
    if (use !== undefined) use.again = true;
    // One that is being paused is resumed by who pauses it; one that may be about to end may be asleep.
    if (use?.isPausing !== true) await this.#parts.containers.resume(id);
    this.#tell({ resumed: id }, from);
  }

  /**
   * Waits until the others have no requests on an instance any more. If a deploy has superseded its revision, they hear
   * of that at about the same time: who did not know it yet would start another instance of the old one.
   */
  async release(id: string): Promise<void> {
    const { clock, drainTimeoutMs: withinMs, peers } = this.#parts;
    if (peers.live.length > 1) await delay(clock, NEWS_MS);
    const limit = withinMs === Infinity ? {} : { withinMs };
    await this.#askOthers({ release: id, ...limit }, { timeoutMs: withinMs + MORE_TIME_MS });
  }

  /** Has all other cless stop their instances of a service. Resolves with whether one of them knows it. */
  async sleepElsewhere(service: string): Promise<boolean> {
    const timeoutMs = this.#parts.drainTimeoutMs + 2 * MORE_TIME_MS + STOP_MS;
    return (await this.#askOthers({ sleep: service }, { timeoutMs })).some(({ ok }) => ok);
  }

  /** Forgets an instance that is gone. */
  forget(id: string): void {
    this.#unanswered.delete(id);
  }

  /** Does something with an instance that nobody uses. @throws {NotNow} When another cless uses it meanwhile. */
  async #whileUnused(
    id: string,
    isPausing: boolean,
    work: (use: { readonly again: boolean }) => Promise<void>,
  ): Promise<void> {
    const use = { again: false, isPausing };
    this.#unused.set(id, use);
    try {
      await work(use);
      if (!use.again) return;
    } finally {
      this.#unused.delete(id);
    }
    this.#tell({ resumed: id });
    throw new NotNow("another cless uses the container again", { idleMs: 0 });
  }

  /** Asks all others to leave an instance alone. If one does not, takes it back from those that did. */
  async #askToYield(id: string, to: "paused" | "ended", afterMs: number): Promise<void> {
    const answers = await this.#askOthers({ yield: id, to, afterMs });
    const refusals = answers.filter(({ ok }) => !ok);
    if (refusals.length === 0) return;
    this.#tell({ resumed: id });
    const idleMs = Math.min(...refusals.map(({ idleMs = 0 }) => idleMs));
    throw new NotNow("another cless uses the container", { idleMs });
  }

  async #askToResume(id: string): Promise<void> {
    const { homes, peers } = this.#parts;
    const home = homes.homeOf(id);
    if (home === undefined || home === homes.self) throw new ContainerGone("its node is lost");
    let answer: PeerAnswer;
    try {
      answer = await peers.ask(home, { resume: id, from: homes.self });
    } catch (error) {
      const message = `the cless of the node ${home} does not answer: ${messageOf(error)}`;
      // It may just be starting anew. But requests do not wait for one that has gone: another instance serves them.
      if (this.#unanswered.delete(id)) throw new ContainerGone(message, { cause: error });
      this.#unanswered.add(id);
      throw new EngineAway(message, { cause: error });
    }
    this.#unanswered.delete(id);
    if (!answer.ok) throw new ContainerGone(answer.reason ?? "its home is ending it");
  }

  async #askOthers(message: PeerMessage, options?: { readonly timeoutMs: number }): Promise<PeerAnswer[]> {
    const { homes, peers } = this.#parts;
    const others = peers.live.filter((node) => node !== homes.self);
    // Who does not answer, though it lives, may use the instance.
    const ask = (node: string) => peers.ask(node, message, options).catch((): PeerAnswer => ({ ok: false }));
    return await Promise.all(others.map(ask));
  }

  /** Says something to all others, without waiting for them. @param except The node of one who knows it. */
  #tell(message: PeerMessage, except?: string): void {
    const { homes, peers } = this.#parts;
    for (const node of peers.live) {
      if (node === homes.self || node === except) continue;
      peers.ask(node, message).catch((error) => {
        log.debug("another cless does not answer", { node, reason: messageOf(error) }); // it will see it in the list
      });
    }
  }
}
