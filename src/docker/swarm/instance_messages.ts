import type { SlotGrant } from "../../pool/held_slots.ts";
import type { SlotReport } from "./slot_ledger.ts";
import type { SwarmNode } from "./swarm_api.ts";

/** What one cless says to another about the instances that they share, and what a node has for them. */
export type PeerMessage =
  /**
   * The home of an instance wants to pause or to end it. Who has requests on it, or has used it within the last
   * `afterMs`, does not agree. Who agrees takes it for paused from then on.
   */
  | { readonly yield: string; readonly afterMs: number }
  /** An instance that was yielded runs on, or runs again. */
  | { readonly resumed: string }
  /** Asks the home of a paused instance to resume it. @param from The id of the node that asks. */
  | { readonly resume: string; readonly from: string }
  /**
   * The home wants to end an instance at once: the answer comes when no requests are on it, or the time is over.
   *
   * @param withinMs Missing if the requests may take as long as they like: JSON has no number for that.
   */
  | { readonly release: string; readonly withinMs?: number }
  /** An instance runs now. @param on The id of its node. @param origin Where all nodes reach it. */
  | { readonly started: string; readonly on: string; readonly origin: string }
  /** An app has ended by itself. Who starts its instance may not know: Swarm tells it later, and not by an event. */
  | { readonly ended: string; readonly exitCode?: number; readonly oom?: boolean }
  /** Asks the home of an instance for the processor time that it has used. */
  | { readonly processorTime: string }
  /** An operator stops all instances of a service: the answer comes when no requests are on those of this cless. */
  | { readonly sleep: string }
  /** Asks a cless whether its node has an image, by its id or name. */
  | { readonly hasImage: string }
  /** Asks a cless whether its node has a volume; of a folder, whether containers may use it there. */
  | { readonly hasVolume: string }
  /** Asks the home of an instance to keep the last lines of its output: it is about to be removed. */
  | { readonly keep: string }
  /** Asks a cless which instances sleep on its node. */
  | { readonly asleep: true }
  /** Tells the home of an instance what a process holds of its slots, and wants. @param node Of the process. */
  | { readonly askSlots: string; readonly concurrency: number; readonly node: string; readonly report: SlotReport }
  /**
   * Tells a process what the home of an instance has given to it and wants back, and asks what it holds.
   *
   * @param key Of the process; missing if it is not known. @param wanted How many others want.
   */
  | { readonly tellSlots: string; readonly key?: string; readonly grant: SlotGrant; readonly wanted: number };

/** What a cless answers. */
export interface PeerAnswer {
  /** Whether it agrees, or has done what it was asked for. */
  readonly ok: boolean;
  /** For how long the instance that it does not yield has been idle there, ms; 0 if it is in use. */
  readonly idleMs?: number;
  /** Whether the instance that it does not resume is ending. */
  readonly isEnding?: true;
  /** Why it has not done what it was asked for. */
  readonly reason?: string;
  readonly processorNs?: number;
  readonly asleep?: readonly string[];
  /** The id of the engine that was asked. */
  readonly engineId?: string;
  /** The image that it was asked for. */
  readonly image?: PeerImage;
  /** What the home has given. @param isShort Whether others use the rest of what is wanted. */
  readonly slots?: SlotGrant & { readonly isShort: boolean };
  /** What the processes of the node hold, as far as they are meant. */
  readonly held?: readonly SlotReport[];
  /** The id of the later home's ledger that what is held belongs to. */
  readonly later?: number;
}

/** What a name means on another node. */
export interface PeerImage {
  readonly imageId: string;
  /** Missing if it has no `HEALTHCHECK`. */
  readonly hasHealthCheck?: true;
}

/** The other cless processes of this owner, as a launcher needs them. */
export interface Peers {
  /** The ids of the nodes with a live cless, this one included, sorted. */
  readonly live: readonly string[];
  /**
   * Asks the cless of another node. @throws {Error} When it does not answer.
   *
   * @param options.timeoutMs How long the answer may take; ten seconds by default.
   */
  ask(nodeId: string, message: PeerMessage, options?: { readonly timeoutMs?: number }): Promise<PeerAnswer>;
}

/** Peers whose nodes a launcher lists. */
export interface NodePeers extends Peers {
  /** Notes from which nodes Swarm hears: the cless of one that it does not hear, and that does not answer, is gone. */
  noteNodes(nodes: readonly Pick<SwarmNode, "id" | "isReady">[]): void;
}
