import type { Clock } from "../base/clock.ts";
import { CoarseTimeouts, type Timed } from "../base/coarse_timeouts.ts";
import { logger } from "../base/log.ts";
import { type ClientSockets, type Peer, peerKey } from "./client_sockets.ts";
import type { Client } from "./forwarder.ts";

const log = logger("clients");
/** Answers are checked at this interval. */
const TICK_MS = 1000;
/** While a client may have stopped, the kernel's queues are read at this interval. */
const LOOK_MS = 2000;
/**
 * If a client takes no piece from the platform, and only the kernel's queue for it moves, the client is given up after
 * this many of its timeouts.
 */
const MAX_TIMEOUTS = 10;

/**
 * A client whose upload has stopped is disconnected this long after its answer was sent, so that the answer reaches it
 * first.
 */
const ANSWER_MS = 1000;

/** What a client stopped doing. */
export type Stopped = "upload" | "answer" | "websocket";

/** Counts clients that have stopped. */
export interface ClientMetrics {
  clientStopped(service: string | undefined, what: Stopped): void;
  /** Sets how many connections of clients that have stopped reading are still open. */
  stuckClients(count: number): void;
}

/** An answer on its way to a client. */
export interface WatchedAnswer {
  /** Increases whenever bytes move between the app, cless and the client. */
  readonly moves: number;
  /** Whether everything waits for the client. */
  waitsForClient(): boolean;
  /** Called when the client has taken nothing in the last second: less must be read ahead for it. */
  slowDown(): void;
  /** Whether the client has stopped sending the request's body. Called every `tickMs`. */
  uploadStopped(tickMs: number, timeoutMs: number): boolean;
  /** Gives up the connection to the app, and breaks the answer off. */
  cut(): Promise<void>;
}

/**
 * Finds clients that have stopped reading their answers. A client that reads slowly must not count as stopped. The
 * platform takes the next piece only once the kernel has room for it, so a slow client may seem to stand still. But if
 * the kernel's queue for a client has moved meanwhile, the client still reads.
 */
export class SlowClients implements Disposable {
  readonly #answers: CoarseTimeouts<AnswerProgress>;
  readonly #clock: Clock;
  readonly #sockets: ClientSockets | undefined;
  readonly #metrics: ClientMetrics | undefined;
  readonly #doubtful = new Set<AnswerProgress>();
  #looking = false;
  #lookedMs = -Infinity;
  /** The clients that will be disconnected, by their delay, ms. */
  readonly #leaving = new Map<number, Peer[]>();
  #stuck = 0;

  /** @param sockets The kernel's view of clients' connections; `undefined` if it is not available. */
  constructor(clock: Clock, sockets?: ClientSockets, metrics?: ClientMetrics) {
    this.#clock = clock;
    this.#sockets = sockets;
    this.#metrics = metrics;
    this.#answers = new CoarseTimeouts(clock, TICK_MS);
  }

  /** Watches an answer until the returned function is called. */
  watch(client: Client, answer: WatchedAnswer): () => void {
    const progress = new AnswerProgress(client, answer, this);
    this.#answers.add(progress);
    return () => {
      this.#answers.delete(progress);
      this.#doubtful.delete(progress);
    };
  }

  /** Called at a tick when it is unclear whether a client has stopped. */
  doubt(progress: AnswerProgress): void {
    this.#doubtful.add(progress);
    const now = this.#clock.now();
    if (this.#sockets === undefined || this.#looking || now - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = now;
    this.#look(this.#sockets);
  }

  /**
   * Called when a client has stopped, and the connection to the app has been given up. Closes the client's connection
   * if possible.
   */
  stopped(client: Client, what: Stopped): void {
    const { service, info } = client;
    const peer = peerOf(client);
    log.info("a client has stopped", { service, what, client: peer?.hostname });
    this.#metrics?.clientStopped(service, what);
    if (what === "upload") {
      // Let the client get its answer, then disconnect it. Otherwise the platform would wait for the rest of the body.
      const answered = () => this.#disconnect(peer, ANSWER_MS);
      info.completed.then(answered, () => {});
      return;
    }
    this.#metrics?.stuckClients(++this.#stuck);
    const gone = () => this.#metrics?.stuckClients(--this.#stuck);
    info.completed.then(gone, gone);
    this.#disconnect(peer, 0);
  }

  [Symbol.dispose](): void {
    this.#answers[Symbol.dispose]();
  }

  /**
   * Closes a client's connection after a delay. Connections with the same delay that come meanwhile are closed
   * together.
   */
  #disconnect(peer: Peer | undefined, afterMs: number): void {
    const sockets = this.#sockets;
    if (sockets === undefined || peer === undefined) return;
    const leaving = this.#leaving.get(afterMs);
    if (leaving !== undefined) {
      leaving.push(peer);
      return;
    }
    const peers = [peer];
    this.#leaving.set(afterMs, peers);
    this.#clock.after(afterMs, () => {
      this.#leaving.delete(afterMs);
      sockets.destroy(peers);
    });
  }

  async #look(sockets: ClientSockets): Promise<void> {
    this.#looking = true;
    const queues = await sockets.queues();
    this.#looking = false;
    if (queues === undefined) return;
    for (const progress of this.#doubtful) progress.noteQueue(queues.get(progress.key));
    this.#doubtful.clear();
  }
}

/** The progress of one answer. It counts ticks and not time, so that the client is not blamed for cless's own lag. */
class AnswerProgress implements Timed {
  readonly #client: Client;
  readonly #answer: WatchedAnswer;
  readonly #clients: SlowClients;
  place = -1;
  #moves = 0;
  /** How long nothing has moved. */
  #idleMs = 0;
  /** How long nothing has moved because of the client. */
  #stillMs = 0;
  /** How long only the kernel's queue has moved. */
  #onlyQueueMs = 0;
  #queuedBytes: number | undefined;

  constructor(client: Client, answer: WatchedAnswer, clients: SlowClients) {
    this.#client = client;
    this.#answer = answer;
    this.#clients = clients;
  }

  /** The client's key in {@linkcode ClientSockets.queues}. */
  get key(): string {
    const peer = peerOf(this.#client);
    return peer === undefined ? "" : peerKey(peer.hostname, peer.port);
  }

  check(): void {
    const answer = this.#answer;
    const { clientTimeoutMs } = this.#client;
    const uploadStopped = answer.uploadStopped(TICK_MS, clientTimeoutMs);
    if (answer.moves !== this.#moves) {
      this.#moves = answer.moves;
      this.#idleMs = this.#stillMs = this.#onlyQueueMs = 0;
      this.#queuedBytes = undefined;
      return;
    }
    this.#idleMs += TICK_MS;
    this.#stillMs = answer.waitsForClient() ? this.#stillMs + TICK_MS : 0;
    if (this.#stillMs > 0) answer.slowDown();
    if (this.#stillMs >= clientTimeoutMs || (uploadStopped && this.#idleMs >= clientTimeoutMs)) {
      answer.cut();
      this.#clients.stopped(this.#client, "answer");
    } else if (this.#stillMs >= clientTimeoutMs / 2) {
      this.#clients.doubt(this);
    }
  }

  /** Notes how many bytes the kernel has queued for the client. */
  noteQueue(bytes: number | undefined): void {
    const before = this.#queuedBytes;
    this.#queuedBytes = bytes;
    if (before === undefined || bytes === undefined || bytes === before) return;
    this.#onlyQueueMs += this.#stillMs;
    if (this.#onlyQueueMs < MAX_TIMEOUTS * this.#client.clientTimeoutMs) this.#stillMs = 0;
  }
}

/** The other end of a client's connection; `undefined` if the connection has just been closed. */
function peerOf({ info }: Client): Peer | undefined {
  try {
    return info.remoteAddr;
  } catch {
    return undefined;
  }
}
