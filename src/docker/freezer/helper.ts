import { atMost, within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Folders } from "./cgroups.ts";
import script from "./freezer.sh" with { type: "text" };

const log = logger("freezer");
/** A new helper gets this long to say that it is ready. */
const START_TIMEOUT_MS = 2000;
/** A helper that gives no answer for this long, though it has commands, is replaced. A request waits for a thaw. */
const ANSWER_TIMEOUT_MS: Readonly<Record<Command, number>> = {
  thaw: 50,
  freeze: 1000,
  look: 1000,
  reclaim: 1000,
  progress: 1000,
  cancel: 1000,
};
/**
 * For this time after a helper was replaced, no helper is replaced that answers within {@linkcode SLOW_TIMEOUT_MS}: it is
 * more likely that the machine is slow than that the new helper hangs too.
 */
const SLOW_MS = 10_000;
const SLOW_TIMEOUT_MS = 2000;
/** The end of cless waits this long for the helper's end. */
const END_TIMEOUT_MS = 1000;

/** Whether a runtime freezes containers by the files that the helper writes. */
export function canFreeze(runtime: string): boolean {
  return RegExp(`^(${/^runtimes='(.+)'$/m.exec(script)![1]})$`).test(runtime);
}

/** The commands for a control group: see `freezer.sh`. */
export type Command = "freeze" | "thaw" | "look" | "reclaim" | "progress" | "cancel";

/** A connection to a helper, which lasts as long as the helper. */
interface Channel {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  /** Ends a child even if it hangs, or closes the connection. */
  kill(): void;
  /** Resolves when the helper has ended. */
  readonly ended?: Promise<Pick<Deno.CommandStatus, "code">>;
}

/**
 * Starts a helper as a child process, whose rights are those of cless. See `freezer.sh` for the arguments.
 *
 * @throws {Error} When there is no shell.
 */
export function childHelper(ownerFile: string, engineFolder: string, cgroups?: string): Channel {
  // A list of processes shows the arguments, but not the script.
  const args = ["-c", 'eval "$SCRIPT"', "cless-freezer", ownerFile, engineFolder, ...(cgroups ? [cgroups] : [])];
  const child = new Deno.Command("sh", {
    args,
    clearEnv: true, // the script's variables must not come from there
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SCRIPT: script },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const { stdin: writable, stdout: readable, status: ended } = child;
  return { readable, writable, ended, kill: () => child.kill("SIGKILL") };
}

/** Connects to a unix socket at which each connection starts a helper. */
export async function socketHelper(path: string): Promise<Channel> {
  const conn = await Deno.connect({ transport: "unix", path });
  return { readable: conn.readable, writable: conn.writable, kill: () => conn.close() };
}

/**
 * Talks to the process that writes the files of control groups. If cless does not run as root, it has no right to do
 * that itself. The first command starts the helper, and the first one after its death starts another.
 */
export class FreezerHelper implements AsyncDisposable {
  readonly #open: () => Channel | Promise<Channel>;
  readonly #clock: Clock;
  #dialog: Promise<Dialog> | undefined;
  /** The ends of the helpers that were killed. */
  #killed: Promise<unknown> = Promise.resolve();
  /** Why the last helper could not be started. */
  #problem: string | undefined;
  /** When the last helper was replaced, clock ms. */
  #replacedMs = -Infinity;
  #isClosed = false;

  constructor(open: () => Channel | Promise<Channel>, clock: Clock) {
    this.#open = open;
    this.#clock = clock;
  }

  /**
   * Does for these containers in advance what their first command would have to wait for. Resolves with why there is no
   * helper; `undefined` if there is one.
   */
  async prepare(all: readonly Folders[] = []): Promise<string | undefined> {
    const dialog = await this.#ready();
    await Promise.all(all.map((folders) => dialog?.use(folders)));
    return dialog === undefined ? this.#problem : undefined;
  }

  /**
   * Sends a command for a container. Resolves with the answer, or with `undefined` if there is no helper, or if two in a
   * row do not answer.
   */
  async ask(what: Command, folders: Folders): Promise<string | undefined> {
    return await this.#try(what, folders) ?? await this.#try(what, folders);
  }

  /** Forgets a container that is gone. */
  forget(folders: Folders): void {
    this.#dialog?.then((dialog) => dialog.forget(folders), () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#dialog;
    this.#isClosed = true;
    this.#dialog = undefined;
    const ended = opened?.then((dialog) => dialog.end(), () => {});
    await atMost(Promise.all([ended, this.#killed]), this.#clock, END_TIMEOUT_MS);
    opened?.then((dialog) => dialog.kill(), () => {});
  }

  async #try(what: Command, folders: Folders): Promise<string | undefined> {
    const dialog = await this.#ready();
    if (dialog === undefined) return undefined;
    const answered = dialog.ask(what, folders).then((answer) => ({ answer }));
    const isSlow = this.#clock.now() - this.#replacedMs < SLOW_MS;
    const timeoutMs = isSlow ? SLOW_TIMEOUT_MS : ANSWER_TIMEOUT_MS[what];
    for (;;) {
      const answer = await within(answered, this.#clock, timeoutMs);
      if (answer?.answer !== undefined) return answer.answer;
      // Commands that came before may take their time, as long as their answers come.
      if (answer !== undefined || dialog.stillMs >= timeoutMs) break;
    }
    if (!dialog.isKilled) {
      log.warning("a helper does not answer, and is replaced", { what, folder: folders.freezer });
      this.#replace(dialog);
    }
    return undefined;
  }

  /** Starts a helper before it is needed. If that fails, the first command tries again. */
  async begin(): Promise<void> {
    await this.#ready(false);
  }

  /** The present helper, or a new one; `undefined` if there is none. */
  async #ready(isNeeded = true): Promise<Dialog | undefined> {
    if (this.#isClosed) return undefined;
    const opened = this.#dialog ??= this.#start();
    try {
      const dialog = await opened;
      this.#problem = undefined;
      return dialog;
    } catch (error) {
      if (this.#dialog === opened) this.#dialog = undefined;
      if (!isNeeded) return undefined; // the engine may not answer yet
      const reason = messageOf(error);
      if (reason !== this.#problem) log.warning("there is no helper to freeze containers", { reason });
      this.#problem = reason;
      return undefined;
    }
  }

  async #start(): Promise<Dialog> {
    const dialog = new Dialog(await this.#open(), this.#clock);
    const greeting = await within(dialog.greet(), this.#clock, START_TIMEOUT_MS);
    if (greeting === "ready") return dialog;
    dialog.kill();
    throw new Error(greeting ?? "the helper does not answer");
  }

  #replace(dialog: Dialog): void {
    const present = this.#dialog;
    present?.then((current) => {
      if (current === dialog && this.#dialog === present) this.#dialog = undefined;
    }, () => {});
    this.#replacedMs = this.#clock.now();
    const killed = dialog.kill();
    this.#killed = this.#killed.then(() => killed);
  }
}

/** The commands to one helper, and its answers, which come in the same order. */
class Dialog {
  readonly #channel: Channel;
  readonly #clock: Pick<Clock, "now">;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting: ((answer: string | undefined) => void)[] = [];
  readonly #ended: Promise<void>;
  readonly #encoder = new TextEncoder();
  /** For each container that the helper knows, by the freezer's folder: its number, and the answer to `use`. */
  readonly #used = new Map<string, { readonly number: number; readonly answer: Promise<string | undefined> }>();
  /** Numbers that were used before. */
  readonly #free: number[] = [];
  /** When the helper was last idle, or gave an answer, clock ms. */
  #movedMs = 0;
  #isOver = false;
  isKilled = false;

  constructor(channel: Channel, clock: Pick<Clock, "now">) {
    this.#channel = channel;
    this.#clock = clock;
    this.#writer = channel.writable.getWriter();
    this.#ended = this.#read();
  }

  /** For how long the helper has given no answer, though it has commands. */
  get stillMs(): number {
    return this.#waiting.length === 0 ? 0 : this.#clock.now() - this.#movedMs;
  }

  greet(): Promise<string | undefined> {
    return this.#send("hello");
  }

  /** Gives a container a number. Resolves with the helper's answer. */
  use(folders: Folders): Promise<string | undefined> {
    return this.#numberOf(folders).answer;
  }

  /** Resolves with `undefined` if the helper ends without an answer. */
  async ask(what: Command, folders: Folders): Promise<string | undefined> {
    const used = this.#numberOf(folders);
    // Sent before `use` is answered, so that the commands for a container stay in order.
    const answer = this.#send(`${what} ${used.number}`);
    const refusal = await used.answer;
    if (refusal === "ok") return await answer;
    if (this.#used.get(folders.freezer) === used) this.forget(folders);
    return refusal;
  }

  /** Lets another container have the number. */
  forget({ freezer }: Folders): void {
    const used = this.#used.get(freezer);
    if (used !== undefined && this.#used.delete(freezer)) this.#free.push(used.number);
  }

  #numberOf({ freezer, memory }: Folders) {
    const known = this.#used.get(freezer);
    if (known !== undefined) return known;
    const number = this.#free.pop() ?? this.#used.size + 1;
    const used = { number, answer: this.#send(`use ${number} ${freezer} ${memory}`) };
    this.#used.set(freezer, used);
    return used;
  }

  #send(command: string): Promise<string | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    if (this.#waiting.length === 0) this.#movedMs = this.#clock.now();
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
    this.isKilled = true;
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
        this.#movedMs = this.#clock.now();
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
