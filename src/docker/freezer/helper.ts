import { atMost, within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import script from "./freezer.sh" with { type: "text" };

const log = logger("freezer");
/** A helper that does not answer within this time is replaced. */
const ANSWER_TIMEOUT_MS = 50;
/** The end of cless waits this long for the helper's end. */
const END_TIMEOUT_MS = 1000;

/** The commands for a control group: see `freezer.sh`. */
export type Command = "freeze" | "thaw" | "look";

/** A connection to a helper, which lasts as long as the helper. */
interface Channel {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  /** Ends the helper even if it hangs. */
  kill(): void;
  /** Resolves when the helper has ended. */
  readonly ended?: Promise<unknown>;
}

/**
 * Starts a helper as a child process, whose rights are those of cless. See `freezer.sh` for the arguments.
 *
 * @throws {Error} When there is no shell.
 */
export function childHelper(ownerFile: string, engineFolder: string, cgroups?: string): Channel {
  const args = ["-c", script, "freezer", ownerFile, engineFolder, ...(cgroups === undefined ? [] : [cgroups])];
  const child = new Deno.Command("sh", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const { stdin: writable, stdout: readable, status: ended } = child;
  return { readable, writable, ended, kill: () => child.kill("SIGKILL") };
}

/** Connects to a unix socket at which each connection starts a helper. */
export async function socketHelper(path: string): Promise<Channel> {
  const conn = await Deno.connect({ transport: "unix", path });
  return { readable: conn.readable, writable: conn.writable, kill: () => conn.close() };
}

/**
 * Talks to the process that may write the files of control groups. cless itself, which talks to the network, gets no
 * such right. The first question starts the helper, and the first one after its death starts another.
 */
export class FreezerHelper implements AsyncDisposable {
  readonly #open: () => Channel | Promise<Channel>;
  readonly #clock: Clock;
  #dialog: Promise<Dialog> | undefined;
  /** The ends of the helpers that were killed. */
  #killed: Promise<unknown> = Promise.resolve();

  constructor(open: () => Channel | Promise<Channel>, clock: Clock) {
    this.#open = open;
    this.#clock = clock;
  }

  /** Starts the helper, so that the first question need not wait for that. */
  async prepare(): Promise<void> {
    await (this.#dialog ??= this.#start()).catch(() => {}); // `ask` logs why there is none
  }

  /**
   * Sends a command for a control group. Resolves with the answer, or with `undefined` if two helpers in a row do not
   * give one in time.
   */
  async ask(what: Command, folder: string): Promise<string | undefined> {
    return await this.#try(what, folder) ?? await this.#try(what, folder);
  }

  /** Forgets a control group that is gone. */
  forget(folder: string): void {
    this.#dialog?.then((dialog) => dialog.forget(folder), () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const dialog = this.#dialog;
    this.#dialog = undefined;
    const ended = dialog?.then((dialog) => dialog.end(), () => {});
    await atMost(Promise.all([ended, this.#killed]), this.#clock, END_TIMEOUT_MS);
  }

  async #try(what: Command, folder: string): Promise<string | undefined> {
    const opened = this.#dialog ??= this.#start();
    const answer = await within(opened.then((dialog) => dialog.ask(what, folder)), this.#clock, ANSWER_TIMEOUT_MS)
      .catch((error) => void log.warning("there is no helper to freeze containers", { reason: messageOf(error) }));
    if (answer !== undefined) return answer;
    log.warning("a helper does not answer, and is replaced", { what, folder });
    if (this.#dialog === opened) this.#dialog = undefined;
    const killed = opened.then((dialog) => dialog.kill(), () => {});
    this.#killed = this.#killed.then(() => killed);
    return undefined;
  }

  async #start(): Promise<Dialog> {
    return new Dialog(await this.#open());
  }
}

/** The commands to one helper, and its answers, which come in the same order. */
class Dialog {
  readonly #channel: Channel;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting: ((answer: string | undefined) => void)[] = [];
  readonly #ended: Promise<void>;
  readonly #encoder = new TextEncoder();
  /** The helper's numbers of the control groups, by folder. */
  readonly #numbers = new Map<string, number>();
  /** Numbers that were used before. */
  readonly #free: number[] = [];
  #isOver = false;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#writer = channel.writable.getWriter();
    this.#ended = this.#read();
  }

  /** Resolves with `undefined` if the helper ends without an answer. */
  async ask(what: Command, folder: string): Promise<string | undefined> {
    const known = this.#numbers.get(folder);
    const number = known ?? this.#free.pop() ?? this.#numbers.size + 1;
    this.#numbers.set(folder, number);
    const used = known === undefined ? this.#send(`use ${number} ${folder}`) : "ok";
    const answer = this.#send(`${what} ${number}`); // at once, so that no other command comes between
    if (await used === "ok") return await answer;
    this.forget(folder);
    return await used;
  }

  /** Lets another control group have the number. */
  forget(folder: string): void {
    const number = this.#numbers.get(folder);
    if (number !== undefined && this.#numbers.delete(folder)) this.#free.push(number);
  }

  #send(command: string): Promise<string | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#waiting.push(resolve);
    this.#writer.write(this.#encoder.encode(`${command}\n`)).catch(() => {}); // then its output ends too
    return promise;
  }

  /** Lets the helper answer what was asked, and end. */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#ended;
  }

  async kill(): Promise<void> {
    try {
      this.#channel.kill();
    } catch {
      // It has ended by itself.
    }
    await this.#ended;
  }

  async #read(): Promise<void> {
    let text = "";
    try {
      for await (const part of this.#channel.readable.pipeThrough(new TextDecoderStream())) {
        const lines = (text + part).split("\n");
        text = lines.pop()!;
        for (const line of lines) this.#waiting.shift()?.(line);
      }
    } catch {
      // It was killed.
    }
    this.#isOver = true;
    this.#writer.close().catch(() => {});
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    await this.#channel.ended;
  }
}
