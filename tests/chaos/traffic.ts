import { BenchError } from "../bench/support/errors.ts";
import { buildGo } from "../bench/support/tool.ts";

/** How long the last requests may take to end; the sender waits for 60 s itself, and as long as one lasts. */
const PATIENCE_MS = 75_000;

/** What is sent to one service in one way; `sender/main.go` says what each field means. */
export interface Flow {
  readonly name: string;
  readonly kind: "get" | "upload" | "stream" | "socket" | "idle" | "mute" | "half";
  readonly host: string;
  readonly rate?: number;
  readonly workers?: number;
  readonly clients?: number;
  readonly fresh?: boolean;
  readonly connections?: number;
  readonly query?: string;
  readonly ms?: number;
  readonly bytes?: number;
  readonly chunked?: boolean;
}

/** One request that was not answered as it should be; times are this process's clock's ms. */
export interface Failed {
  readonly flow: string;
  readonly kind: Flow["kind"];
  readonly host: string;
  readonly began: number;
  readonly ended: number;
  /** Such as `502 upstream_failed`, `refused` or `reset before an answer`. */
  readonly cause: string;
  /** Whether a good answer had begun. */
  readonly answering: boolean;
}

/** What became of the requests of a flow. */
export interface FlowReport {
  readonly name: string;
  readonly sent: number;
  readonly good: number;
  /** How many good answers there were when the sender was told to stop. */
  readonly goodInTime: number;
  /** How many failures are not told one by one, since they are too many. */
  readonly untold: number;
  readonly longestMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** By how much the sender itself was late. */
  readonly lateP99Ms: number;
  /** How often the app said which word of its own. */
  readonly greetings: Readonly<Record<string, number>>;
  /** How the clients ended that do not end by themselves. */
  readonly ends: Readonly<Record<string, number>>;
}

/** What became of all requests. */
export interface Sent {
  readonly flows: readonly FlowReport[];
  readonly failures: readonly Failed[];
}

interface Progress {
  readonly sent: number;
  readonly good: number;
  readonly failed: number;
  readonly goodOf: Readonly<Record<string, number>>;
  readonly ended: number;
}

type Line = { failed: Failed } | { progress: Progress } | { done: readonly FlowReport[] };

/** Makes the sender's executable. @throws {BenchError} When Go refuses. */
export async function buildSender(folder: string, signal: AbortSignal): Promise<string> {
  const executable = `${folder}/sender`;
  await buildGo(`${import.meta.dirname}/sender`, executable, signal);
  return executable;
}

/** Requests that go on until they are told to stop, sent by a program of its own. */
export class Traffic implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #failures: Failed[] = [];
  readonly #reading: Promise<void>;
  #progress: Progress = { sent: 0, good: 0, failed: 0, goodOf: {}, ended: 0 };
  #done: readonly FlowReport[] | undefined;
  #expecting = Promise.withResolvers<void>();
  #stopped = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = this.#read();
  }

  /** Begins. @param url The proxy's address. */
  static start(executable: string, url: string, flows: readonly Flow[], seed: number): Traffic {
    const { hostname, port } = new URL(url);
    const args = [`-address=${hostname}:${port || 80}`, `-plan=${JSON.stringify(flows)}`, `-seed=${seed}`];
    return new Traffic(
      new Deno.Command(executable, { args, stdin: "piped", stdout: "piped", stderr: "inherit", detached: true })
        .spawn(),
    );
  }

  /** The counts as they were a moment ago. */
  get progress(): Progress {
    return this.#progress;
  }

  /** Waits until the counts are so. @throws {BenchError} When they do not become so in time. */
  async until(what: string, condition: (progress: Progress) => boolean, withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    while (!condition(this.#progress)) {
      if (this.#done !== undefined) throw new BenchError(`the sender has ended before ${what}`);
      if (performance.now() > end) {
        throw new BenchError(`${what}: not within ${withinMs / 1000} s; ${JSON.stringify(this.#progress)}`);
      }
      await this.#expecting.promise;
    }
  }

  /** Sends nothing more, and waits for what is under way. @throws {BenchError} When that does not end. */
  async finish(): Promise<Sent> {
    await this.#stop();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    await this.#reading;
    clearTimeout(late);
    if (this.#done === undefined) throw new BenchError("the sender has ended without a report");
    return { flows: this.#done, failures: this.#failures };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    if (this.#done === undefined) {
      try {
        this.#child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    await this.#reading;
    await this.#child.status;
  }

  async #stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#child.stdin.close().catch(() => {}); // it may have ended by itself
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line));
      this.#expecting.resolve();
      this.#expecting = Promise.withResolvers();
    }
    this.#done ??= undefined;
    this.#expecting.resolve();
  }

  #take(line: Line): void {
    if ("progress" in line) this.#progress = line.progress;
    else if ("done" in line) this.#done = line.done;
    else {
      const { began, ended, ...failed } = line.failed;
      const toClock = (epochMs: number) => epochMs - performance.timeOrigin;
      this.#failures.push({ ...failed, began: toClock(began), ended: toClock(ended) });
    }
  }
}
