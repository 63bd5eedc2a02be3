import type { Clock } from "../base/clock.ts";
import { CoarseTimeouts, type Timed } from "../base/coarse_timeouts.ts";
import { logger } from "../base/log.ts";
import { type ClientSockets, type Peer, peerKey } from "./client_sockets.ts";
import type { Client } from "./forwarder.ts";

const log = logger("clients");
/** How often the answers are looked at. */
const TICK_MS = 1000;
/** How often the kernel's queues are looked at while a client may have stopped. */
const LOOK_MS = 2000;
/** For how many times its timeout a client may leave a piece with the platform, as long as the kernel's queue moves. */
const MOST_TIMEOUTS = 10;

/** How long an answer may take to its client before the client is disconnected. */
const ANSWER_MS = 1000;

/** What a client stopped doing. */
export type Stopped = "upload" | "answer" | "websocket";

/** Counts clients that have stopped. */
export interface ClientMetrics {
  clientStopped(service: string | undefined, what: Stopped): void;
  /** How many connections of such clients are still open. */
  stuckClients(count: number): void;
}

/** An answer on its way to a client. */
export interface WatchedAnswer {
  /** Grows whenever something moves between the app, cless and the client. */
  readonly moves: number;
  /** Whether it is the client that has to act next. */
  waitsForClient(): boolean;
  /** Called when the client has not asked for more in the last second: less is to be read ahead for it. */
  slowDown(): void;
  /** Whether the client has stopped to send the request's body. Called every `tickMs`. */
  uploadStopped(tickMs: number, timeoutMs: number): boolean;
  /** Gives up the app's side, and breaks the answer off. */
  cut(): Promise<void>;
}

/**
 * Finds clients that do not read their answers. A client that reads slowly is not one of them: the platform takes the
 * next piece only once the kernel has room for it, so the kernel's queue tells whether anything has moved meanwhile.
 */
export class SlowClients implements Disposable {
  readonly #answers: CoarseTimeouts<Pace>;
  readonly #clock: Clock;
  readonly #sockets: ClientSockets | undefined;
  readonly #metrics: ClientMetrics | undefined;
  readonly #doubtful = new Set<Pace>();
  #looking = false;
  #lookedMs = -Infinity;
  /** Clients to be disconnected, by how long that waits. */
  readonly #leaving = new Map<number, Peer[]>();
  #stuck = 0;

  /** @param sockets What the kernel knows about clients' connections; `undefined` if nobody can say. */
  constructor(clock: Clock, sockets?: ClientSockets, metrics?: ClientMetrics) {
    this.#clock = clock;
    this.#sockets = sockets;
    this.#metrics = metrics;
    this.#answers = new CoarseTimeouts(clock, TICK_MS);
  }

  /** Watches an answer until the returned function is called. */
  watch(client: Client, answer: WatchedAnswer): () => void {
    const pace = new Pace(client, answer, this);
    this.#answers.add(pace);
    return () => {
      this.#answers.delete(pace);
      this.#doubtful.delete(pace);
    };
  }

  /** Called at a tick in which it is not clear whether a client has stopped. */
  doubt(pace: Pace): void {
    this.#doubtful.add(pace);
    const now = this.#clock.now();
    if (this.#sockets === undefined || this.#looking || now - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = now;
    this.#look(this.#sockets);
  }

  /** Called when a client has stopped; the app's side has been given up. Closes the client's connection if possible. */
  stopped(client: Client, what: Stopped): void {
    const { service, info } = client;
    const peer = peerOf(client);
    log.info("a client has stopped", { service, what, client: peer?.hostname });
    this.#metrics?.clientStopped(service, what);
    if (what === "upload") {
      // The platform would wait for the rest of the body. First, the client gets its answer.
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

  /** Closes a client's connection; those of clients that stop at the same time together. */
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
    for (const pace of this.#doubtful) pace.saw(queues.get(pace.key));
    this.#doubtful.clear();
  }
}

/** How an answer moves. It counts ticks in place of time, so that cless's own pauses are nobody's fault. */
class Pace implements Timed {
  readonly #client: Client;
  readonly #answer: WatchedAnswer;
  readonly #clients: SlowClients;
  place = -1;
  #moves = 0;
  /** How long nothing has moved. */
  #idleMs = 0;
  /** How long nothing has moved because of the client. */
  #stillMs = 0;
  /** How long the kernel's queue has moved, and nothing else. */
  #creptMs = 0;
  #queuedBytes: number | undefined;

  constructor(client: Client, answer: WatchedAnswer, clients: SlowClients) {
    this.#client = client;
    this.#answer = answer;
    this.#clients = clients;
  }

  /** For {@linkcode ClientSockets.queues}. */
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
      this.#idleMs = this.#stillMs = this.#creptMs = 0;
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

  /** Notes how much the kernel has queued for the client. */
  saw(bytes: number | undefined): void {
    const before = this.#queuedBytes;
    this.#queuedBytes = bytes;
    if (before === undefined || bytes === undefined || bytes === before) return;
    this.#creptMs += this.#stillMs;
    if (this.#creptMs < MOST_TIMEOUTS * this.#client.clientTimeoutMs) this.#stillMs = 0;
  }
}

/** The other end of a client's connection; `undefined` if that has just been closed. */
function peerOf({ info }: Client): Peer | undefined {
  try {
    return info.remoteAddr;
  } catch {
    return undefined;
  }
}
