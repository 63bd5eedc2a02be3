import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { defined } from "../../model/defined.ts";
import { isAsleep, isEnding } from "../../model/instance_state.ts";
import type { Tenure } from "../../pool/decide.ts";
import type { Instance } from "../../pool/instance.ts";
import type { ContainerEvent } from "../../pool/launcher.ts";
import type { InstancePool } from "../../pool/pool.ts";
import type { PeerAnswer, PeerImage, PeerMessage } from "./instance_messages.ts";
import type { SlotExchange } from "./slot_exchange.ts";
import type { SlotHome } from "./slot_home.ts";

/** What this cless does with the instances that it shares. */
interface SharingLauncher {
  readonly sharing: {
    resumeFor(id: string, from: string): Promise<void>;
    readonly slots: Pick<SlotExchange, "answerTell"> & { readonly home: Pick<SlotHome, "answer"> };
  };
  processorTime(id: string): Promise<number | undefined>;
  hasVolume(source: string): Promise<PeerAnswer>;
  readonly images: {
    /** The image of this node with a name or an id. */
    here(image: string): Promise<PeerImage | undefined>;
  };
  /** Whether its start has not got as far as that its container runs. */
  isLaunching(id: string): boolean;
  readonly outputs: { retain(id: string): Promise<void> };
  startedElsewhere(id: string, nodeId: string, origin: string): void;
}

/** Stops instances at an operator's request. */
interface SharedControl {
  /** Resolves with whether there is such a service. */
  sleepHere(service: string): Promise<boolean>;
}

/** The instances of this cless. */
interface SharedFleet {
  get(id: string): Instance | undefined;
  poolOf(instance: Instance): Pick<InstancePool, "letGo"> | undefined;
  instances(): Instance[];
  apply(event: ContainerEvent): void;
}

/** Adopts the instances that this cless does not know. */
interface SharedReconciler {
  /** Looks at all instances. */
  refresh(): Promise<void>;
  /** Looks at one that has just started. Never rejects. */
  discover(id: string): Promise<void>;
}

/** What {@linkcode InstanceAnswers} are made of. */
export interface InstanceAnswersParts {
  readonly fleet: SharedFleet;
  readonly launcher: SharingLauncher;
  readonly control: SharedControl;
  readonly clock: Clock;
  readonly reconciler: SharedReconciler;
  /**
   * What this process may do. Unless its tenure is `all`, it yields nothing: a successor or predecessor uses the instances
   * too.
   */
  readonly role: { readonly now: { readonly tenure: Tenure } };
}

/**
 * Answers what the other cless of the owner ask and say about the instances that all of them use. What this one asks and
 * says itself is in `InstanceSharing`.
 */
export class InstanceAnswers {
  readonly #parts: InstanceAnswersParts;

  constructor(parts: InstanceAnswersParts) {
    this.#parts = parts;
  }

  /** The answer to a message. Never rejects. */
  async answer(message: PeerMessage): Promise<PeerAnswer> {
    try {
      return await this.#answer(message);
    } catch (error) {
      return { ok: false, reason: messageOf(error) };
    }
  }

  async #answer(message: PeerMessage): Promise<PeerAnswer> {
    const { control, fleet, launcher, reconciler } = this.#parts;
    if ("yield" in message) return this.#yield(message.yield, message.afterMs);
    if ("resumed" in message) {
      fleet.apply({ id: message.resumed, what: "resumed" });
      return { ok: true };
    }
    if ("resume" in message) return await this.#resume(message.resume, message.from);
    if ("release" in message) return await this.#release(message.release, message.withinMs ?? Infinity);
    if ("started" in message) {
      launcher.startedElsewhere(message.started, message.on, message.origin);
      reconciler.discover(message.started);
      return { ok: true };
    }
    if ("ended" in message) {
      const { ended: id, exitCode, oom } = message;
      // Of one that serves, its home tells operators why it ended.
      const isAwaited = fleet.get(id)?.state === "starting" && !launcher.isLaunching(id);
      if (isAwaited) fleet.apply({ id, what: "ended", ...defined({ exitCode, oom }) });
      return { ok: true };
    }
    if ("processorTime" in message) {
      const processorNs = await launcher.processorTime(message.processorTime);
      return processorNs === undefined ? { ok: false } : { ok: true, processorNs };
    }
    if ("sleep" in message) {
      await reconciler.refresh(); // one may have just been started
      return { ok: await control.sleepHere(message.sleep) };
    }
    if ("hasVolume" in message) return await launcher.hasVolume(message.hasVolume);
    if ("hasImage" in message) {
      const image = await launcher.images.here(message.hasImage);
      return image === undefined ? { ok: false } : { ok: true, image };
    }
    if ("keep" in message) {
      await launcher.outputs.retain(message.keep);
      return { ok: true };
    }
    if ("askSlots" in message) return await launcher.sharing.slots.home.answer(message);
    if ("tellSlots" in message) return launcher.sharing.slots.answerTell(message);
    if ("asleep" in message) {
      const asleep = fleet.instances().filter(({ isOurs, state }) => isOurs && isAsleep(state));
      return { ok: true, asleep: asleep.map(({ id }) => id) };
    }
    return { ok: false, reason: "it is of another version" };
  }

  #yield(id: string, afterMs: number): PeerAnswer {
    const { clock, fleet, role } = this.#parts;
    if (role.now.tenure !== "all") return { ok: false };
    const instance = fleet.get(id);
    if (instance === undefined) return { ok: true };
    if (instance.state === "starting" || instance.inFlight > 0) return { ok: false, idleMs: 0 };
    const idleMs = clock.now() - instance.idleSince;
    if (instance.state === "ready" && idleMs < afterMs) return { ok: false, idleMs };
    fleet.apply({ id, what: "paused" }); // no request gets it from now on without asking its home
    return { ok: true };
  }

  async #resume(id: string, from: string): Promise<PeerAnswer> {
    const { fleet, launcher } = this.#parts;
    const instance = fleet.get(id);
    if (instance === undefined) return { ok: false, reason: "its home does not know it" };
    if (instance.state === "starting") return { ok: true }; // it runs, though it does not answer yet
    if (isEnding(instance.state)) {
      return { ok: false, isEnding: true, reason: "its home is ending it" };
    }
    await launcher.sharing.resumeFor(id, from);
    fleet.apply({ id, what: "resumed" });
    return { ok: true };
  }

  async #release(id: string, withinMs: number): Promise<PeerAnswer> {
    const { fleet } = this.#parts;
    const instance = fleet.get(id);
    if (instance !== undefined) await fleet.poolOf(instance)?.letGo(instance, withinMs);
    return { ok: true };
  }
}
