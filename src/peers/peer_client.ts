import type { Clock } from "../base/clock.ts";
import type { Connection } from "../http/exact/connection.ts";
import { type Endpoint, formatEndpoint } from "../model/host.ts";
import type { PeerIdentity } from "./identity.ts";
import { type Messages, type Outcome, pathOf, type Refusal, SIGN_OF_LIFE_MS, type Streams } from "./messages.ts";
import { PeerAway, PeerRefused } from "./peer_error.ts";
import { brokenOff, connectPeer, PeerExchange } from "./peer_exchange.ts";
import { Unpacker } from "./pieces.ts";

/** How long an answer may take by default. */
const TIMEOUT_MS = 10_000;
/** A peer that sends nothing for this long has gone: it would give signs of life. */
const SILENCE_MS = 3 * SIGN_OF_LIFE_MS;
/** At most this many idle connections to one peer are kept. */
const MAX_IDLE = 2;
/** The messages that must not be sent again when a connection breaks before the answer. */
const ONCE: readonly (keyof Messages)[] = ["engine"];
/** The longest text of a refusal that is read. */
const MAX_REFUSAL = 4096;

const encoder = new TextEncoder();

/** The limits of one message. */
export interface AskOptions {
  /** 10 s by default. */
  readonly timeoutMs?: number;
  /** Ends the wait for the answer. */
  readonly signal?: AbortSignal | undefined;
}

/** Where the peers are, by the ids of their nodes. */
export type PeerAddresses = ReadonlyMap<string, Endpoint>;

/** Sends messages to the other cless processes of the owner, and keeps the connections for later ones. */
export class PeerClient implements Disposable {
  readonly #identity: PeerIdentity;
  readonly #addresses: PeerAddresses;
  readonly #clock: Clock;
  /** The connections that no message uses, by `HOST:PORT`; the last used one is the last. */
  readonly #idle = new Map<string, Connection[]>();
  /** What ends each stream that is open, by message and `HOST:PORT`. */
  readonly #streams = new Map<string, Set<() => void>>();
  #isClosed = false;

  constructor(identity: PeerIdentity, addresses: PeerAddresses, clock: Clock) {
    this.#identity = identity;
    this.#addresses = addresses;
    this.#clock = clock;
  }

  /**
   * Sends a message to the cless on a node, and resolves with its answer.
   *
   * @throws {PeerAway} If it does not answer in time. @throws {PeerRefused} @throws The signal's reason.
   */
  async ask<M extends keyof Messages>(
    nodeId: string,
    message: M,
    body: Messages[M]["body"],
    options: AskOptions = {},
  ): Promise<Messages[M]["answer"]> {
    return await this.askAt(this.#addressOf(nodeId), message, body, options);
  }

  /** Like {@linkcode ask}, for a cless whose node is not known. */
  async askAt<M extends keyof Messages>(
    endpoint: Endpoint,
    message: M,
    body: Messages[M]["body"],
    { timeoutMs = TIMEOUT_MS, signal }: AskOptions = {},
  ): Promise<Messages[M]["answer"]> {
    signal?.throwIfAborted();
    const late = new AbortController();
    const cancel = this.#clock.after(timeoutMs, () => {
      late.abort(new PeerAway(`the cless at ${formatEndpoint(endpoint)} does not answer ${message} in time`));
    });
    const ended = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
    try {
      const kept = ONCE.includes(message) ? undefined : this.#take(endpoint);
      if (kept !== undefined) {
        const exchange = new PeerExchange(kept);
        try {
          return await this.#answer(endpoint, kept, exchange, message, body, ended);
        } catch (error) {
          ended.throwIfAborted();
          // The peer has closed the connection, maybe before it got the message: it may have been started anew.
          if (!(error instanceof PeerAway) || error.isSilent || exchange.hasBegun) throw error;
        }
      }
      const connection = await connectPeer(endpoint, this.#identity, this.#clock, ended);
      return await this.#answer(endpoint, connection, new PeerExchange(connection), message, body, ended);
    } finally {
      cancel();
    }
  }

  /**
   * Sends a message whose answer is a stream; resolves when the peer has begun to work on it. The signal ends the stream
   * too. The stream fails as this does, also if the peer has gone: it is silent no longer than a peer that works.
   *
   * @throws {PeerAway} @throws {PeerRefused} @throws The signal's reason.
   */
  async open<S extends keyof Streams>(
    nodeId: string,
    message: S,
    body: Streams[S],
    signal?: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    return await this.openAt(this.#addressOf(nodeId), message, body, signal);
  }

  /** Like {@linkcode open}, for a cless whose node is not known. */
  async openAt<S extends keyof Streams>(
    endpoint: Endpoint,
    message: S,
    body: Streams[S],
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ReadableStream<Uint8Array>> {
    signal.throwIfAborted();
    const connection = await connectPeer(endpoint, this.#identity, this.#clock, signal);
    const exchange = new PeerExchange(connection);
    const close = () => connection.close();
    signal.addEventListener("abort", close, { once: true });
    const where = formatEndpoint(endpoint);
    const source = `${message} ${where}`;
    const streams = this.#streams.get(source) ?? new Set();
    let isLeft = false;
    const leave = () => {
      isLeft = true;
      close();
    };
    this.#streams.set(source, streams.add(leave));
    const end = () => {
      streams.delete(leave);
      signal.removeEventListener("abort", close);
      close();
    };
    const explain = (error: unknown) => {
      end();
      if (signal.aborted) return signal.reason;
      if (isLeft) return new PeerAway(`the cless at ${where} is not asked any more: another machine answers`);
      return error instanceof PeerRefused ? error : brokenOff(endpoint, error);
    };
    const read = () => this.#audible(endpoint, connection, exchange.read());
    try {
      const sent = exchange.send(pathOf(message), this.#identity.secret, bytesOf(body));
      const status = await this.#audible(endpoint, connection, sent);
      if (status !== 200) throw refusalOf(endpoint, await textOf(read));
    } catch (error) {
      throw explain(error);
    }
    const unpacker = new Unpacker();
    return streamOf({ end, explain }, async () => {
      for (let bytes; (bytes = await read()) !== undefined;) {
        const length = unpacker.unpack(bytes);
        if (length > 0) return bytes.subarray(0, length);
      }
      if (unpacker.reason !== undefined) throw refusalOf(endpoint, unpacker.reason);
      if (!unpacker.isWhole) throw new Error("its answer breaks off");
      return undefined;
    });
  }

  /** Closes the idle connections to a peer that has gone. */
  forget(endpoint: Endpoint): void {
    const where = formatEndpoint(endpoint);
    for (const connection of this.#idle.get(where) ?? []) connection.close();
    this.#idle.delete(where);
  }

  /** Ends the streams with which a peer answers a message, since another one has answered what it did not. */
  endStreams(endpoint: Endpoint, message: keyof Streams): void {
    for (const leave of this.#streams.get(`${message} ${formatEndpoint(endpoint)}`) ?? []) leave();
  }

  /** Closes all idle connections; those in use are closed after their answer. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const connection of [...this.#idle.values()].flat()) connection.close();
    this.#idle.clear();
  }

  /** @throws {PeerAway} If no cless on that node is known. */
  #addressOf(nodeId: string): Endpoint {
    const endpoint = this.#addresses.get(nodeId);
    if (endpoint !== undefined) return endpoint;
    throw new PeerAway(`no cless is known on the node ${nodeId}`, { isUnsent: true });
  }

  /** Sends a message over a connection, and keeps that for later ones if it can be used again. */
  async #answer<M extends keyof Messages>(
    endpoint: Endpoint,
    connection: Connection,
    exchange: PeerExchange,
    message: M,
    body: Messages[M]["body"],
    ended: AbortSignal,
  ): Promise<Messages[M]["answer"]> {
    const close = () => connection.close();
    ended.addEventListener("abort", close, { once: true });
    let isKept = false;
    try {
      const sent = exchange.send(pathOf(message), this.#identity.secret, bytesOf(body));
      const status = await this.#audible(endpoint, connection, sent);
      const text = await textOf(() => this.#audible(endpoint, connection, exchange.read()));
      ended.removeEventListener("abort", close);
      isKept = this.#keep(endpoint, connection, exchange);
      if (status !== 200) throw refusalOf(endpoint, text);
      const outcome: Outcome = JSON.parse(text);
      if ("refused" in outcome) throw new PeerRefused(outcome.refused.reason, outcome.refused.kind);
      return outcome.answer as Messages[M]["answer"];
    } catch (error) {
      ended.throwIfAborted();
      throw error instanceof PeerRefused ? error : brokenOff(endpoint, error);
    } finally {
      ended.removeEventListener("abort", close);
      if (!isKept) connection.close();
    }
  }

  /** Waits for a part of an answer, but closes the connection if the peer is silent. */
  async #audible<T>(endpoint: Endpoint, connection: Connection, part: Promise<T>): Promise<T> {
    let isSilent = false;
    let cancel = () => {};
    // In steps: if this process stood still meanwhile, that is one of them, and what has arrived is read before the next.
    const wait = (leftMs: number) => {
      cancel = this.#clock.after(SIGN_OF_LIFE_MS, () => {
        if (leftMs > SIGN_OF_LIFE_MS) return wait(leftMs - SIGN_OF_LIFE_MS);
        isSilent = true;
        connection.close();
      });
    };
    wait(SILENCE_MS);
    try {
      return await part;
    } catch (error) {
      if (!isSilent) throw error;
      const where = formatEndpoint(endpoint);
      throw new PeerAway(`the cless at ${where} has said nothing for ${SILENCE_MS / 1000} s`, { isSilent });
    } finally {
      cancel();
    }
  }

  #take(endpoint: Endpoint): Connection | undefined {
    const connection = this.#idle.get(formatEndpoint(endpoint))?.pop();
    connection?.use();
    return connection;
  }

  /** Keeps a connection for later messages, if that is possible. */
  #keep(endpoint: Endpoint, connection: Connection, { isReusable }: PeerExchange): boolean {
    const where = formatEndpoint(endpoint);
    const idle = this.#idle.get(where) ?? [];
    if (this.#isClosed || !isReusable || idle.length >= MAX_IDLE) return false;
    this.#idle.set(where, idle);
    idle.push(connection);
    connection.onStray = () => {
      const place = idle.indexOf(connection);
      if (place !== -1) idle.splice(place, 1);
      connection.close();
    };
    connection.becomeIdle(this.#clock.now());
    return true;
  }
}

function bytesOf(body: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(body));
}

/** Reads pieces of text to their end. */
async function textOf(read: () => Promise<Uint8Array | undefined>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let piece; (piece = await read()) !== undefined;) text += decoder.decode(piece, { stream: true });
  return text;
}

/**
 * A stream of what is read, which is not read ahead: nobody but a reader who waits may find that the peer is silent.
 *
 * @param read Resolves with the next bytes; `undefined` at the end.
 * @param end Called when nobody reads any more.
 * @param explain Called when reading has failed; the error that the reader gets.
 */
function streamOf(
  { end, explain }: { readonly end: () => void; readonly explain: (error: unknown) => unknown },
  read: () => Promise<Uint8Array | undefined>,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        const piece = await read();
        if (piece !== undefined) return controller.enqueue(piece as Uint8Array<ArrayBuffer>);
        end();
        controller.close();
        controller.byobRequest?.respond(0);
      } catch (error) {
        controller.error(explain(error));
      }
    },
    cancel: end,
  });
}

/** The error for an answer with another status than 200. */
function refusalOf(endpoint: Endpoint, text: string): PeerRefused {
  const where = `the cless at ${formatEndpoint(endpoint)} refuses`;
  try {
    const { kind, reason }: Refusal = JSON.parse(text.slice(0, MAX_REFUSAL));
    return new PeerRefused(`${where}: ${reason}`, kind);
  } catch {
    return new PeerRefused(`${where}, and does not say why`);
  }
}
