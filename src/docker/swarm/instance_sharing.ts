import { abortable } from "@std/async/abortable";
import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { defined } from "../../model/defined.ts";
import {
  type Container,
  type ContainerEvent,
  ContainerGone,
  EngineAway,
  NotNow,
  type Sharing,
} from "../../pool/launcher.ts";
import { LABEL } from "../container_spec.ts";
import { forPool, type OwnContainers } from "../own_containers.ts";
import type { Homes } from "./homes.ts";
import type { Origins } from "./origins.ts";
import type { PeerAnswer, PeerMessage, Peers } from "./instance_messages.ts";
import type { SlotExchange } from "./slot_exchange.ts";
import type { SwarmApi } from "./swarm_api.ts";
import { containerOf, hasEnded } from "./swarm_json.ts";
import type { TaskEngine } from "./task_engine.ts";

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
  readonly containers: Pick<OwnContainers, "outputs" | "pause" | "resume">;
  readonly engine: Pick<TaskEngine, "has" | "origin">;
  readonly homes: Homes;
  readonly origins: Origins;
  readonly peers: Peers;
  readonly slots: SlotExchange;
  readonly swarm: SwarmApi;
  readonly owner: string;
  readonly clock: Clock;
  readonly drainTimeoutMs: number;
}

/** What is being done with an instance that nobody uses. */
interface Rest {
  readonly isPausing: boolean;
  /** Aborted once somebody uses it again. */
  readonly again: AbortController;
  /** Resolves when it is done, or has been broken off. */
  readonly ended: Promise<void>;
}

/**
 * Agrees with the other cless of the owner when an instance sleeps and ends, and has it woken. What is done with a
 * container is done by the cless on its node. What the others ask is answered by `InstanceAnswers`.
 */
export class InstanceSharing implements Sharing {
  readonly slots: SlotExchange;
  readonly #parts: InstanceSharingParts;
  /** The instances that are being paused, and those whose end is being agreed. */
  readonly #resting = new Map<string, Rest>();
  /** The instances about which not all others have answered yet. */
  readonly #asking = new Set<string>();
  /** The paused instances whose home did not answer when it was last asked to resume them. */
  readonly #unanswered = new Set<string>();
  #isClosed = false;

  constructor(parts: InstanceSharingParts) {
    this.#parts = parts;
    this.slots = parts.slots;
  }

  isOurs(id: string): boolean {
    return this.#parts.homes.isOurs(id);
  }

  async find(id: string): Promise<Container | undefined> {
    const { containers, engine, homes, origins, owner, swarm } = this.#parts;
    try {
      const [task] = await swarm.tasks({ service: id });
      if (task?.labels[LABEL.owner] !== owner || hasEnded(task)) return undefined;
      // Swarm itself may not know yet that it runs.
      const isHere = homes.isHere(id) && engine.has(id);
      const origin = isHere ? await engine.origin(id) : origins.of(task);
      const state = origin === undefined ? "created" : "running";
      const container = containerOf(task, { state, origin, isOurs: this.isOurs(id) });
      if (isHere) containers.outputs.started(id, container);
      return container;
    } catch (error) {
      throw forPool(error);
    }
  }

  async mayEnd(id: string, idleMs: number): Promise<void> {
    await this.#whileUnused(id, false, (again) => this.#askToYield(id, idleMs, again));
  }

  runsOn(id: string): void {
    this.#tell({ resumed: id });
  }

  /** Says where an instance of this node runs. */
  runsHere(id: string, origin: string): void {
    this.#tell({ started: id, on: this.#parts.homes.self, origin });
  }

  /** Says that the app of an instance of this node has ended by itself. */
  endedHere({ exitCode, id, oom }: Omit<ContainerEvent, "what" | "byHand">): void {
    this.#tell({ ended: id, ...defined({ exitCode, oom }) });
  }

  /** Pauses an instance of this node once nobody uses it. */
  async pause(id: string, idleMs: number): Promise<void> {
    const { containers, homes } = this.#parts;
    if (!homes.isHere(id)) throw new NotNow("no cless runs on the node of the container");
    await this.#whileUnused(id, true, async (again) => {
      await this.#askToYield(id, idleMs, again);
      if (again.aborted) return;
      try {
        await containers.pause(id);
      } catch (error) {
        // If it has failed in another way, the pool resumes the container, which tells the others.
        if (error instanceof NotNow) this.#tell({ resumed: id });
        throw error;
      }
      if (again.aborted) await containers.resume(id);
    });
  }

  /** Resumes an instance, by its home if that is another cless. */
  async resume(id: string): Promise<void> {
    const { homes } = this.#parts;
    if (homes.isHere(id)) {
      await this.wake(id);
      this.#tell({ resumed: id });
    } else await this.#askToResume(id);
  }

  /** Resumes an instance of this node for another cless, which is told by the answer. */
  async resumeFor(id: string, from: string): Promise<void> {
    await this.wake(id);
    this.#tell({ resumed: id }, from);
  }

  /** Lets an instance of this node run, and tells nobody. One that is being paused is resumed by who pauses it. */
  async wake(id: string): Promise<void> {
    const rest = this.#resting.get(id);
    rest?.again.abort();
    if (rest?.isPausing === true) await rest.ended;
    else await this.#parts.containers.resume(id);
  }

  usesAgain(id: string): void {
    this.#resting.get(id)?.again.abort();
  }

  /** Breaks off every pause, and every question whether an instance may end. Resolves when none is under way. */
  async breakOff(): Promise<void> {
    const resting = [...this.#resting.values()];
    for (const { again } of resting) again.abort();
    await Promise.all(resting.map(({ ended }) => ended));
  }

  /** Does what {@linkcode breakOff} does. From now on no instance is paused from here, and none may end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.breakOff();
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

  /** Does something with an instance that nobody uses. @throws {NotNow} When somebody uses it meanwhile. */
  async #whileUnused(id: string, isPausing: boolean, work: (again: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#isClosed) throw new NotNow("this cless is ending");
    // What is said after the last answer to an earlier question would undo this one.
    if (this.#asking.has(id)) throw new NotNow("not all other cless have answered the last question");
    const again = new AbortController();
    const working = work(again.signal);
    this.#resting.set(id, { isPausing, again, ended: working.catch(() => {}) });
    try {
      await working;
      if (!again.signal.aborted) return;
    } finally {
      this.#resting.delete(id);
    }
    this.#tell({ resumed: id });
    throw new NotNow("the container is used again", { idleMs: 0 });
  }

  /** Asks all others to leave an instance alone. If one does not, takes it back from those that did. */
  async #askToYield(id: string, afterMs: number, again: AbortSignal): Promise<void> {
    this.#asking.add(id);
    const asked = this.#askOthers({ yield: id, afterMs }).finally(() => this.#asking.delete(id));
    const answers = await abortable(asked, again).catch(() => undefined);
    if (answers === undefined) return void asked.then(() => this.#tell({ resumed: id })); // to those that agree later
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
