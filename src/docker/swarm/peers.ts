import type { Usage } from "../../pool/launcher.ts";

/** What one cless says to another about an instance. */
export type PeerMessage =
  /** The home of an instance wants to pause it or to end it. */
  | { readonly yield: string; readonly to: "paused" | "ended" }
  /** An instance that was paused, or was about to be, runs. Also takes back a `yield`. */
  | { readonly resumed: string }
  /** Asks the home of a paused instance to resume it. */
  | { readonly resume: string }
  /** The home wants to end an instance that gets no more requests: the answer comes once there are none in flight. */
  | { readonly release: string; readonly withinMs: number }
  /** Asks the home of an instance for the last lines of its output. */
  | { readonly output: string; readonly lines: number }
  /** Asks the home of an instance for the processor time that it has used. */
  | { readonly processorTime: string }
  /** Asks a cless what the containers of its node use. */
  | { readonly usage: true };

/** What a cless answers. */
export interface PeerAnswer {
  /** Whether it agrees, or has done what it was asked for. */
  readonly ok: boolean;
  /** Since when the instance that it does not yield has been idle there, ms; 0 if it is in use. */
  readonly idleMs?: number;
  /** Why it has not done what it was asked for. */
  readonly reason?: string;
  readonly output?: string;
  readonly processorNs?: number;
  readonly usage?: readonly (readonly [id: string, usage: Usage])[];
}

/** The other cless processes of this owner, as a launcher needs them. */
export interface Peers {
  /** The ids of the nodes with a live cless, this one included, sorted. */
  readonly live: readonly string[];
  /** Asks the cless of another node. @throws {Error} When it does not answer. */
  ask(nodeId: string, message: PeerMessage): Promise<PeerAnswer>;
}

/** The peers of a cless that is alone. */
export function noPeers(nodeId: string): Peers {
  return { live: [nodeId], ask: () => Promise.reject(new Error("there is no other cless")) };
}
