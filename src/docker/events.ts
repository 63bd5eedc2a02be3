import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DockerCommand, jsonLines, killGroup } from "./command.ts";
import { piecesOf } from "./output_pieces.ts";

const log = logger("events");
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
/** A stream that held for so long was a good one, ms. */
const GOOD_MS = 10_000;

const ACTIONS = {
  container: ["start", "die", "oom", "kill", "pause", "unpause"],
  image: ["tag", "untag", "delete", "import", "load", "pull"],
};

/** An event of the engine. */
export interface EngineEvent {
  readonly type: "container" | "image";
  readonly action: string;
  /** Such as `name`, `exitCode`, and the container's labels. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What an {@linkcode EventStream} tells. */
export interface EventListener {
  event(event: EngineEvent): void;
  /** Events may have been missed. */
  gap(): void;
}

/** What the engine does to containers and images, as it happens; begun again whenever the stream breaks off. */
export class EventStream {
  readonly #docker: DockerCommand;
  readonly #listener: EventListener;
  #child: Deno.ChildProcess | undefined;
  #stopped = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  /** What has been seen of the engine's own time, so that a new stream goes on where the last one ended; seconds. */
  #since = (Date.now() / 1000).toFixed(3);

  constructor(docker: DockerCommand, listener: EventListener) {
    this.#docker = docker;
    this.#listener = listener;
  }

  /** Whether events are being received. */
  get live(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    this.#running = this.#run(FIRST_RETRY_MS);
  }

  /** Ends the stream, and resolves when its process has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    if (this.#child !== undefined) killGroup(this.#child, "SIGTERM");
    await this.#running;
  }

  async #run(retryMs: number): Promise<void> {
    const began = performance.now();
    try {
      this.#child = this.#docker.spawn([
        "events",
        "--format={{json .}}",
        `--since=${this.#since}`,
        ...Object.keys(ACTIONS).map((type) => `--filter=type=${type}`),
        ...Object.values(ACTIONS).flat().map((action) => `--filter=event=${action}`),
      ]);
      const text = new TextDecoder();
      let rest = "";
      for await (const piece of piecesOf(this.#child.stdout)) {
        const lines = (rest + text.decode(piece, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) this.#pass(line);
      }
      await this.#child.status;
    } catch (error) {
      log.debug("event stream failed", { reason: messageOf(error) });
    }
    this.#child = undefined;
    if (this.#stopped) return;
    const wait = performance.now() - began > GOOD_MS ? FIRST_RETRY_MS : retryMs;
    log.warning("the engine's events have ended; listening again", { afterMs: wait });
    this.#listener.gap();
    this.#retryTimer = setTimeout(() => {
      this.#running = this.#run(Math.min(LONGEST_RETRY_MS, wait * 2));
      this.#listener.gap();
    }, wait);
  }

  #pass(line: string): void {
    for (const value of jsonLines(line)) {
      const { Type, Action, Actor, timeNano } = value as {
        Type?: string;
        Action?: string;
        Actor?: { Attributes?: Record<string, string> };
        timeNano?: number;
      };
      if ((Type !== "container" && Type !== "image") || Action === undefined) continue;
      // Cut off, not rounded: rather an event twice than one never.
      if (timeNano !== undefined) this.#since = (Math.floor(timeNano / 1000) / 1e6).toFixed(6);
      this.#listener.event({ type: Type, action: Action, attributes: Actor?.Attributes ?? {} });
    }
  }
}
