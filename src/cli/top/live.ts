import type { ActivityJson } from "../../admin/operations/activity.ts";
import type { InstanceJson } from "../../admin/operations/instances.ts";
import { delay } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import type { Client } from "../client.ts";
import { hasJobControl } from "../job_control.ts";
import { INTERRUPTED } from "../streams.ts";
import { selected } from "./activity.ts";
import { type Audience, followLog, poll } from "./feed.ts";
import { frameOf } from "./frame.ts";
import { type Key, lateKeys, readKeys } from "./keys.ts";
import { listLines, listPage } from "./list_view.ts";
import { LogLines } from "./log_lines.ts";
import { TerminalScreen } from "./screen.ts";
import { logPage, type ServiceData, serviceLines } from "./service_view.ts";
import { reactionTo, type TopState } from "./state.ts";

/** At most one frame in this time, whatever happens. */
const FRAME_MS = 50;
/** The rest of what a key sends comes within this time, also over a slow connection. */
const KEY_MS = 60;
/** The signals that end the program, with the numbers that its exit code is made of. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** Options of {@linkcode showLive}. */
export interface LiveOptions {
  readonly state: TopState;
  /** What is shown until the next answer. */
  readonly services: readonly ActivityJson[];
  readonly isColoured: boolean;
}

/**
 * Shows the services in the terminal until the user leaves or a signal ends the program. The terminal is then as it was
 * before, also after an error.
 *
 * @returns The exit code.
 * @throws {ApiError} If the API refuses.
 */
export async function showLive(client: Client, options: LiveOptions): Promise<number> {
  using screen = new TerminalScreen();
  const live = new Live(client, screen, options);
  return await live.run();
}

class Live implements Audience {
  readonly #client: Client;
  readonly #screen: TerminalScreen;
  readonly #isColoured: boolean;
  readonly #ended = new AbortController();
  #state: TopState;
  #services: readonly ActivityJson[];
  #lost: string | undefined;
  #instances: readonly InstanceJson[] = [];
  #log = new LogLines();
  #logProblem: string | undefined;
  /** Ends what follows the log of the opened service. */
  #following = new AbortController();
  #offset = 0;
  #code = 0;
  #failure: { readonly error: unknown } | undefined;
  /** Resolves when there is something new to draw. */
  #news = Promise.withResolvers<void>();

  constructor(client: Client, screen: TerminalScreen, { isColoured, services, state }: LiveOptions) {
    this.#client = client;
    this.#screen = screen;
    this.#isColoured = isColoured;
    this.#state = state;
    this.#services = services;
  }

  async run(): Promise<number> {
    const { signal } = this.#ended;
    const listeners = this.#listeners();
    for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
    // What is thrown by a timer or listener would end the program at once, and leave the terminal as it is.
    globalThis.addEventListener("error", this.#fail);
    globalThis.addEventListener("unhandledrejection", this.#fail);
    try {
      this.#screen.enter();
      void this.#readKeys();
      const polling = poll(this.#client, this, signal).catch((error) => this.#end(1, { error }));
      while (!signal.aborted) {
        if (!this.#draw()) this.#end(1);
        await this.#news.promise;
        this.#news = Promise.withResolvers();
        await delay(systemClock, FRAME_MS, signal);
      }
      await polling;
    } finally {
      this.#screen.leave();
      this.#ended.abort();
      this.#following.abort();
      for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
      globalThis.removeEventListener("error", this.#fail);
      globalThis.removeEventListener("unhandledrejection", this.#fail);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#code;
  }

  get opened(): string | undefined {
    return this.#state.opened;
  }

  answered(services: ActivityJson[], instances: InstanceJson[]): void {
    this.#services = services;
    this.#instances = instances;
    // The connection of the log may be dead as well, without a sign of it.
    if (this.#lost !== undefined && this.opened !== undefined) this.#follow(this.opened);
    this.#lost = undefined;
    this.#renew();
  }

  lost(reason: string): void {
    this.#lost = reason;
    this.#renew();
  }

  #listeners(): [Deno.Signal, () => void][] {
    const ending = Object.entries(ENDING).map(([name, number]): [Deno.Signal, () => void] => {
      return [name as Deno.Signal, () => this.#end(128 + number)];
    });
    const again = () => {
      this.#screen.enter();
      this.#renew();
    };
    return [...ending, ["SIGWINCH", () => this.#renew()], ["SIGTSTP", () => this.#suspend()], ["SIGCONT", again]];
  }

  readonly #fail = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    this.#end(1, { error: "reason" in event ? event.reason : event.error });
  };

  #end(code: number, failure?: { readonly error: unknown }): void {
    if (this.#ended.signal.aborted) return;
    this.#code = code;
    this.#failure = failure;
    this.#ended.abort();
    this.#renew();
  }

  #renew(): void {
    this.#news.resolve();
  }

  get #data(): ServiceData {
    return {
      services: this.#services,
      lost: this.#lost,
      now: Date.now(),
      instances: this.#instances,
      log: this.#log,
      logProblem: this.#logProblem,
    };
  }

  /** Returns false if the terminal is gone. */
  #draw(): boolean {
    const { size } = this.#screen;
    const { opened } = this.#state;
    let lines;
    if (opened !== undefined) lines = serviceLines(opened, this.#state, this.#data, size);
    else ({ lines, offset: this.#offset } = listLines(this.#state, this.#data, size, this.#offset));
    return this.#screen.show(frameOf(lines, size, this.#isColoured));
  }

  async #readKeys(): Promise<void> {
    const chunk = new Uint8Array(1024);
    let rest = new Uint8Array();
    let cancel = () => {};
    for (;;) {
      const length = await Deno.stdin.read(chunk).catch(() => null);
      cancel();
      if (this.#ended.signal.aborted) return;
      if (length === null) return this.#end(1); // the terminal is gone
      const read = readKeys(Uint8Array.from([...rest, ...chunk.subarray(0, length)]));
      rest = Uint8Array.from(read.rest);
      for (const key of read.keys) this.#press(key);
      cancel = systemClock.after(KEY_MS, () => {
        for (const key of lateKeys(rest)) this.#press(key);
        rest = new Uint8Array();
      });
    }
  }

  #press(key: Key): void {
    if (this.#ended.signal.aborted) return;
    const reaction = reactionTo(key, this.#state, {
      names: selected(this.#services, this.#state).map(({ service }) => service),
      page: this.#state.opened === undefined
        ? listPage(this.#state, this.#data, this.#screen.size)
        : logPage(this.#state.opened, this.#data, this.#screen.size),
      log: this.#log.bounds,
    });
    if (reaction === "quit") return this.#end(0);
    if (reaction === "interrupt") return this.#end(INTERRUPTED);
    if (reaction === "suspend") return this.#suspend();
    if (reaction === "redraw") this.#screen.forget();
    else this.#change(reaction);
    this.#renew();
  }

  #change(state: TopState): void {
    const { opened } = this.#state;
    this.#state = state;
    if (state.opened === opened) return;
    this.#instances = [];
    if (state.opened === undefined) this.#following.abort();
    else this.#follow(state.opened);
  }

  /** Follows the log of a service, and no other one any more. */
  #follow(service: string): void {
    this.#following.abort();
    this.#following = new AbortController();
    const { signal } = this.#following;
    const log = this.#log = new LogLines();
    this.#state = { ...this.#state, logEnd: undefined };
    this.#logProblem = undefined;
    const reader = {
      begun: () => {
        log.clear();
        this.#logProblem = undefined;
        this.#renew();
      },
      line: (line: Parameters<LogLines["push"]>[0]) => {
        log.push(line);
        this.#renew();
      },
      missing: (reason: string) => {
        if (!signal.aborted) this.#logProblem = reason;
        this.#renew();
      },
    };
    void followLog(this.#client, service, reader, signal);
  }

  /**
   * Stops the program until SIGCONT lets it go on, unless nobody would send that. In raw mode, Ctrl-Z is a key like
   * others.
   */
  #suspend(): void {
    if (!hasJobControl()) return;
    this.#screen.leave();
    Deno.kill(Deno.pid, "SIGSTOP");
  }
}
