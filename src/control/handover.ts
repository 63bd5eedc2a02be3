import { removeIfThere } from "../base/atomic_file.ts";
import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { InstanceUse } from "../fleet/predecessor.ts";
import type { Listening } from "../http/listening.ts";
import type { NewFigures } from "./figures/records.ts";

/*
 * A process (the successor) can take over from a running one (the predecessor). They talk over a unix socket in the
 * data-dir. Each message is a line of JSON:
 *
 *   successor                                  predecessor
 *   ────────────────────────────────────────────────────────────────────────────────────────────────
 *   hello: its version and process      ─►
 *                                       ◄─     hello: its version, engine, where it listens, the secret key
 *   seal                                ─►     refuses changes, copies the database and closes it,
 *                                              unlocks the data-dir
 *                                       ◄─     sealed; from now until it ends, it reports each change in
 *                                              its use of the instances
 *   locks the data-dir, migrates the
 *   copy, adopts the containers, puts
 *   the copy in place, listens
 *   accepting                           ─►
 *                                       ◄─     knock: asks for connections, and closes each listener
 *                                              when one arrives
 *   connects to each address until
 *   `closed`
 *                                       ◄─     closed; finishes its requests
 *                                       ◄─     figures: what it has counted since `sealed`; ends
 *
 * If one process ends, the other notices that the connection ends. If the successor ends before `accepting`, the
 * predecessor undoes what it has done and continues as before. If the predecessor ends first, the successor continues
 * as if it had been started alone.
 */

const log = logger("handover");
const SOCKET = "handover.sock";
/** The predecessor checks at this interval whether its use of the instances has changed since its last report. */
const REPORT_MS = 50;
/** A successor that takes longer than this from `sealed` to `accepting` is killed. */
const TAKE_OVER_MS = 120_000;
/** The longest path of a unix socket, bytes: unix(7). */
const MAX_PATH_BYTES = 107;

/** What a predecessor tells in its `hello`. */
export interface PredecessorFacts {
  readonly version: string;
  readonly pid: number;
  readonly listen: readonly Listening[];
  /** What runs its containers: `--engine`. Missing from those that know no other than `docker`. */
  readonly engine?: Config["engine"] | undefined;
  /** The predecessor's `CLESS_SECRET_KEY`, if it has one. */
  readonly secretKey?: string | undefined;
}

/** The facts that the program must supply. The hand-over itself knows the others. */
export type OwnFacts = Omit<PredecessorFacts, "version" | "pid">;

/** What a predecessor tells once it has sealed its database. */
export interface Sealed<Position> {
  /**
   * The next address and host port that the predecessor would have given to a container. The successor continues there.
   */
  readonly position: Position;
  readonly uses: readonly InstanceUse[];
}

/** Gets the reports of a predecessor. */
export interface PredecessorListener {
  /** How it uses the instances. */
  uses(uses: readonly InstanceUse[]): void;
  /** What it has counted and could not store, before it ends. */
  figures(figures: NewFigures): void;
}

/** The running process, as the hand-over needs it. */
export interface RunningProcess<Position> {
  /**
   * Stops changes, and copies the database for the successor. @throws {OperatorError} If that is not possible now; then
   * nothing has changed.
   */
  seal(): Promise<Position>;
  /** Undoes `seal` after the successor has failed. Never rejects. */
  unseal(): Promise<void>;
  uses(): readonly InstanceUse[];
  /**
   * Stops listening. Resolves when this process no longer listens on any address.
   *
   * @param knock Makes the successor connect to each address.
   */
  yield(knock: () => void): Promise<void>;
}

type ToPredecessor =
  | { readonly hello: { readonly version: string; readonly pid: number } }
  | { readonly seal: true }
  | { readonly failed: string }
  | { readonly accepting: true };

type ToSuccessor<Position> =
  | { readonly hello: PredecessorFacts }
  | { readonly refused: string }
  | { readonly sealed: Sealed<Position> }
  | { readonly uses: readonly InstanceUse[] }
  | { readonly knock: true }
  | { readonly closed: true }
  | { readonly figures: NewFigures };

/** A connection on which each message is a line of JSON. */
class Channel<In, Out> implements Disposable {
  readonly #conn: Deno.Conn;
  #sending: Promise<void> = Promise.resolve();

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Sends a message after all earlier ones. If the other process has ended, the message is lost. */
  send(message: Out): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
    return this.#sending = this.#sending.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    }).catch(() => {});
  }

  /** The messages until the other process ends. */
  async *messages(): AsyncIterable<In> {
    let rest = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(16_384);
    for (;;) {
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) return;
      const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line);
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // The other process closed it first.
    }
  }
}

/** The predecessor's side of a hand-over. Listens on a socket that only the same user may connect to. */
export class HandoverServer<Position> implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #superseded = Promise.withResolvers<number>();
  #listener: Deno.Listener | undefined;
  #isBusy = false;
  #isSuperseded = false;
  readonly #channels = new Set<Disposable>();
  /** The connection to the successor, once that has taken over. */
  #successor: Channel<ToPredecessor, ToSuccessor<Position>> | undefined;

  /** @param dataDir An absolute path. */
  constructor(dataDir: string, clock: Clock) {
    this.#path = `${dataDir}/${SOCKET}`;
    this.#clock = clock;
  }

  /** Resolves with the successor's process id once the successor has taken over. */
  get superseded(): Promise<number> {
    return this.#superseded.promise;
  }

  /**
   * Begins to accept successors. If that is not possible, it only logs that no hand-over is possible.
   *
   * @param facts The facts about this process, for each successor.
   */
  open(running: RunningProcess<Position>, facts: OwnFacts): void {
    try {
      if (new TextEncoder().encode(this.#path).length > MAX_PATH_BYTES) {
        throw new Error(`its path is longer than ${MAX_PATH_BYTES} bytes`);
      }
      removeIfThere(this.#path);
      this.#listener = Deno.listen({ transport: "unix", path: this.#path });
      Deno.chmodSync(this.#path, 0o600);
      this.#accept(this.#listener, running, facts);
    } catch (error) {
      log.warning("no other process can take over", { socket: this.#path, reason: messageOf(error) });
    }
  }

  /** Sends the figures that this process can no longer store to the successor. Resolves when they are sent. */
  async handOn(figures: NewFigures): Promise<void> {
    await this.#successor?.send({ figures });
  }

  async #accept(listener: Deno.Listener, running: RunningProcess<Position>, facts: OwnFacts): Promise<void> {
    try {
      for await (const conn of listener) {
        this.#talk(conn, running, facts).catch((error) =>
          log.error("the hand-over has failed", { reason: messageOf(error) })
        );
      }
    } catch (error) {
      log.warning("no other process can take over any more", { reason: messageOf(error) });
    }
  }

  async #talk(conn: Deno.Conn, running: RunningProcess<Position>, facts: OwnFacts): Promise<void> {
    using channel = new Channel<ToPredecessor, ToSuccessor<Position>>(conn);
    this.#channels.add(channel);
    let pid = 0;
    let isSealed = false;
    let isKilled = false;
    let stop = () => {};
    try {
      for await (const message of channel.messages()) {
        if ("hello" in message) {
          pid = message.hello.pid;
          channel.send({ hello: { version: VERSION, pid: Deno.pid, ...facts } });
        } else if ("seal" in message) {
          if (this.#isBusy || pid === 0) {
            channel.send({ refused: pid === 0 ? "there was no hello" : "another process is taking over already" });
            continue;
          }
          this.#isBusy = true;
          try {
            const position = await running.seal();
            isSealed = true;
            log.info("another process takes over", { pid });
            const uses = running.uses();
            channel.send({ sealed: { position, uses } });
            const stopReports = this.#report(channel, running, uses);
            const cancel = this.#clock.after(TAKE_OVER_MS, () => {
              isKilled = true;
              kill(pid);
            });
            stop = () => {
              stopReports();
              cancel();
            };
          } catch (error) {
            this.#isBusy = false;
            channel.send({ refused: messageOf(error) });
          }
        } else if ("failed" in message) {
          log.error("the process that was to take over has failed", { pid, reason: message.failed });
        } else if (isSealed && !isKilled) {
          stop();
          stop = this.#report(channel, running);
          this.#isSuperseded = true;
          this.#successor = channel;
          this.#listener?.close();
          this.#listener = undefined;
          await running.yield(() => channel.send({ knock: true }));
          channel.send({ closed: true });
          this.#superseded.resolve(pid);
        }
      }
    } finally {
      this.#channels.delete(channel);
      stop();
      if (isSealed && !this.#isSuperseded) {
        log.warning("the process that was to take over has ended; this one goes on", { pid });
        await running.unseal();
        this.#isBusy = false;
      }
    }
  }

  /** Reports the use of the instances whenever it has changed. Returns a function that ends the reports. */
  #report(
    channel: Channel<ToPredecessor, ToSuccessor<Position>>,
    running: RunningProcess<Position>,
    sent?: readonly InstanceUse[],
  ): () => void {
    let last = JSON.stringify(sent);
    const report = () => {
      const uses = running.uses();
      const text = JSON.stringify(uses);
      if (text === last) return;
      last = text;
      channel.send({ uses });
    };
    report();
    return this.#clock.every(REPORT_MS, report);
  }

  /** Stops accepting successors. */
  [Symbol.dispose](): void {
    if (this.#listener !== undefined) {
      this.#listener.close();
      this.#listener = undefined;
      removeIfThere(this.#path); // after a hand-over, the file belongs to the successor
    }
    for (const channel of this.#channels) channel[Symbol.dispose]();
  }
}

/** The successor's side of a hand-over: its connection to the predecessor. */
export class HandoverClient<Position> implements Disposable {
  readonly #channel: Channel<ToSuccessor<Position>, ToPredecessor>;
  readonly #hello = Promise.withResolvers<PredecessorFacts | undefined>();
  readonly #sealed = Promise.withResolvers<Sealed<Position> | undefined>();
  readonly #knock = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #gone = new AbortController();
  #listener: PredecessorListener | undefined;

  private constructor(conn: Deno.Conn) {
    this.#channel = new Channel(conn);
    this.#sealed.promise.catch(() => {});
    this.#read();
  }

  /**
   * Connects to the process that has the data-dir.
   *
   * @throws {OperatorError} If it cannot hand over.
   */
  static async connect<Position>(dataDir: string): Promise<HandoverClient<Position>> {
    try {
      return new HandoverClient(await Deno.connect({ transport: "unix", path: `${dataDir}/${SOCKET}` }));
    } catch (error) {
      throw new OperatorError(
        `the cless that uses the data-dir ${dataDir} cannot hand over: ${
          messageOf(error)
        }; stop it, then start this one`,
      );
    }
  }

  /** Aborted when the predecessor has ended. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Sends `hello`. Resolves with the answer; `undefined` if the predecessor ends first. */
  async hello(): Promise<PredecessorFacts | undefined> {
    this.#channel.send({ hello: { version: VERSION, pid: Deno.pid } });
    return await this.#hello.promise;
  }

  /**
   * Asks the predecessor to seal its database. Resolves with `undefined` if the predecessor ends first.
   *
   * @throws {OperatorError} If it refuses.
   */
  async seal(): Promise<Sealed<Position> | undefined> {
    this.#channel.send({ seal: true });
    return await this.#sealed.promise;
  }

  /** Sets who gets all later reports of the predecessor. */
  listen(listener: PredecessorListener): void {
    this.#listener = listener;
  }

  /** Tells the predecessor why this process cannot take over. */
  async fail(reason: string): Promise<void> {
    await this.#channel.send({ failed: reason });
  }

  /**
   * Tells the predecessor that this process accepts connections. Resolves when the predecessor asks for connections,
   * no longer listens, or ends.
   */
  async accepting(): Promise<void> {
    this.#channel.send({ accepting: true });
    await this.#knock.promise;
  }

  /** Resolves when the predecessor no longer accepts connections. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  async #read(): Promise<void> {
    for await (const message of this.#channel.messages()) {
      if ("hello" in message) this.#hello.resolve(message.hello);
      else if ("refused" in message) {
        this.#sealed.reject(new OperatorError(`the cless that is running cannot hand over now: ${message.refused}`));
      } else if ("sealed" in message) this.#sealed.resolve(message.sealed);
      else if ("uses" in message) this.#listener?.uses(message.uses);
      else if ("figures" in message) this.#listener?.figures(message.figures);
      else if ("knock" in message) this.#knock.resolve();
      else {
        this.#knock.resolve();
        this.#closed.resolve();
      }
    }
    this.#gone.abort();
    this.#hello.resolve(undefined);
    this.#sealed.resolve(undefined);
    this.#knock.resolve();
    this.#closed.resolve();
    this.#channel[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}

/** Kills a successor that hangs, so that this process can continue. Does nothing if it has already ended. */
function kill(pid: number): void {
  log.error("the process that takes over has not finished; it is killed", { pid, afterMs: TAKE_OVER_MS });
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    log.error("cannot kill it", { pid, reason: messageOf(error) });
  }
}
