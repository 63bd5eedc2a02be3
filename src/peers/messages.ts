import type { ServiceLogOptions } from "../logs/service_logs.ts";
import type { Usage } from "../pool/launcher.ts";

/** What one cless tells of itself to the others. */
export interface PeerFacts {
  /** Of the Swarm's node that it runs on. */
  readonly nodeId: string;
  /** Where it listens for its peers: `HOST:PORT`. */
  readonly address: string;
  /** The version of cless. */
  readonly version: string;
}

/** What a cless says about its node. */
export interface NodeStatus {
  readonly version: string;
  /** How many instances are on the node. */
  readonly instances: number;
  /** How much memory they use together, bytes. */
  readonly memoryBytes: number;
}

/** The owner's token for the admin API. */
export interface OwnerToken {
  readonly text: string;
  /** When it was made, ms since 1970. */
  readonly madeAt: number;
}

/** An image that a peer is to get from another one. */
export interface ImageOffer {
  /** Its name. */
  readonly image: string;
  readonly imageId: string;
  /** The node that has it. */
  readonly from: string;
}

/** A request to the engine of a manager. */
export interface EngineRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** JSON. */
  readonly body?: unknown;
  /** A login for a registry; only to create a service. A cless that does not know it goes on without. */
  readonly registryAuth?: string | undefined;
  /** Which kinds of failure statuses mean. */
  readonly kinds: Readonly<Record<number, string>>;
}

/**
 * The messages, each with its body and its answer; both are sent as JSON. A message may arrive twice, if the connection
 * breaks before the answer begins. `engine` is sent once.
 */
export interface Messages {
  /** A cless has started, and is about to use the instances. */
  readonly hello: { body: PeerFacts; answer: PeerFacts };
  /** A cless is about to end, and uses no instance any more. */
  readonly bye: { body: Pick<PeerFacts, "nodeId">; answer: null };
  readonly status: { body: null; answer: NodeStatus };
  /** The answer is what each instance of its node uses, by its id. */
  readonly usages: { body: null; answer: readonly (readonly [id: string, usage: Usage])[] };
  /** Each side takes the token that was made later. */
  readonly "owner-token": { body: OwnerToken; answer: OwnerToken };
  /** The answer is the text of the engine's; a refusal has the engine's kind of failure. */
  readonly engine: { body: EngineRequest; answer: string };
  /** Gets an image from another peer. The answer is whether it was missing. */
  readonly image: { body: ImageOffer; answer: boolean };
  /**
   * What a launcher says about an instance, or about what a node has for one, such as its image. The launcher owns these
   * types, and its further messages belong there. Whatever else is asked is a message of its own here.
   */
  readonly instance: { body: unknown; answer: unknown };
}

/**
 * The messages whose answer is a stream of bytes, each with its body. It is sent in pieces, with signs of life: a message
 * whose answer is packed otherwise needs another name, so that a cless of another version refuses it.
 */
export interface Streams {
  /** An answer of a manager's engine that goes on, such as events. */
  readonly "engine-pieces": Pick<EngineRequest, "path" | "kinds">;
  /** What the instances of a service have written on this machine, a line each as JSON. */
  readonly "log-lines": Omit<ServiceLogOptions, "signal"> & { readonly service: string };
  /** The archive of an image. */
  readonly "image-pieces": Pick<ImageOffer, "image">;
}

/** The parts that answer messages. The signal is aborted when the peer no longer waits. */
export type Handlers = {
  readonly [M in keyof Messages]: (body: Messages[M]["body"], signal: AbortSignal) => Promise<Messages[M]["answer"]>;
};

/** The parts that answer with a stream. The signal is aborted when the peer no longer reads. */
export type StreamHandlers = {
  readonly [S in keyof Streams]: (body: Streams[S], signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
};

/**
 * How long a peer may be silent that works on an answer, or whose stream is silent: it sends a sign of life this often, ms.
 */
export const SIGN_OF_LIFE_MS = 1000;

/** Why a peer does not do what it was asked. */
export interface Refusal {
  readonly reason: string;
  /** What kind of failure it is, where both sides have a word for it. */
  readonly kind?: string;
}

/** How an answer ends: with the answer itself, or why there is none. */
export type Outcome = { readonly answer: unknown } | { readonly refused: Refusal };

/** Where a message is sent to. */
export function pathOf(message: string): string {
  return `/peer/${message}`;
}
