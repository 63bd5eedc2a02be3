import { DockerCommand } from "../../src/docker/command.ts";
import { noRead, noRun, noWrite } from "./permissions.ts";

/** For `ignore` of a test with a {@linkcode FakeDocker}. */
export const noFakeDocker = noRun || noRead || noWrite;

/** A test with a docker command of its own. */
export function dockerTest(
  name: string,
  fn: (docker: FakeDocker) => Promise<void>,
  options: Partial<Deno.TestDefinition> = {},
): void {
  Deno.test({
    name,
    ignore: noFakeDocker,
    ...options,
    fn: async () => {
      await using docker = await FakeDocker.start();
      await fn(docker);
    },
  });
}

/** How the fake answers a command. */
export interface Answer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
  /** Answers only when the test opens it. */
  readonly gate?: Gate;
  /** Shell code that runs before all that. */
  readonly script?: string;
}

/** Keeps one command from answering until the test wants it to. */
export class Gate {
  readonly path: string;
  #reached: Promise<void> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Resolves when the command is there. */
  reached(): Promise<void> {
    return this.#reached ??= meet(`${this.path}.reached`, { read: true });
  }

  /** Lets the command answer; waits for it where it is not there yet. */
  async open(): Promise<void> {
    await this.reached();
    await meet(`${this.path}.open`, { write: true });
  }
}

/** What one process of `docker events` writes; the process ends when this is disposed of. */
export class EventFeed implements Disposable {
  readonly #pipe: Deno.FsFile;

  constructor(pipe: Deno.FsFile) {
    this.#pipe = pipe;
  }

  /** Writes as it is; rejects when the process has ended. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#pipe.write(bytes.subarray(at));
  }

  /** Writes an event as the engine would. */
  async send(type: string, action: string, attributes: Record<string, string>, timeNano?: number): Promise<void> {
    await this.write(eventLine(type, action, attributes, timeNano));
  }

  [Symbol.dispose](): void {
    this.#pipe.close();
  }
}

/** The engine's id of what every event is about. */
export const ACTOR = "fedcba9876543210".repeat(4);

/** An event as `docker events` writes it. */
export function eventLine(
  type: string,
  action: string,
  attributes: Record<string, string>,
  timeNano?: number,
): string {
  return JSON.stringify({ Type: type, Action: action, Actor: { ID: ACTOR, Attributes: attributes }, timeNano }) + "\n";
}

/**
 * A docker command without an engine: a shell script that notes how it is called and answers as the test has said.
 * What it has no answer for fails.
 */
export class FakeDocker implements AsyncDisposable {
  readonly #dir: string;
  readonly #rules: string[] = [];
  #gates = 0;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async start(): Promise<FakeDocker> {
    const docker = new FakeDocker(await Deno.makeTempDir({ prefix: "fake-docker-" }));
    await Deno.writeTextFile(docker.path, mainScript(docker.#dir), { mode: 0o700 });
    await makePipes(`${docker.#dir}/events`);
    await docker.on("events", { script: `exec cat '${docker.#dir}/events'` });
    return docker;
  }

  /** Where the script is. */
  get path(): string {
    return `${this.#dir}/docker`;
  }

  /** The script as the program calls it. */
  get command(): DockerCommand {
    return new DockerCommand(this.path);
  }

  /**
   * Says how commands are answered that begin with these words; what was said later goes first.
   *
   * @param answers One after the other; the last one is for all further calls. A text is a good answer.
   */
  async on(words: string, ...answers: (string | Answer)[]): Promise<void> {
    const rule = this.#rules.length;
    for (const [at, answer] of answers.entries()) {
      const script = answerScript(typeof answer === "string" ? { stdout: answer } : answer);
      await Deno.writeTextFile(`${this.#dir}/answer-${rule}.${at + 1}`, script);
    }
    this.#rules.unshift(`${quote(words + " ")}*) answer ${rule} ;;`);
    const draft = `${this.#dir}/rules.new`;
    const otherwise = '*) echo "the fake has no answer for docker $*" >&2; exit 125 ;;';
    await Deno.writeTextFile(draft, ['case "$* " in', ...this.#rules, otherwise, "esac"].join("\n"));
    await Deno.rename(draft, `${this.#dir}/rules`);
  }

  /** Makes a gate, for one command to wait at. */
  async gate(): Promise<Gate> {
    const gate = new Gate(`${this.#dir}/gate-${this.#gates++}`);
    await makePipes(`${gate.path}.reached`, `${gate.path}.open`);
    return gate;
  }

  /** Waits for a process of `docker events` to listen to. */
  async events(): Promise<EventFeed> {
    return new EventFeed(await Deno.open(`${this.#dir}/events`, { write: true }));
  }

  /** The arguments of every call so far that began with these words. */
  async calls(words = ""): Promise<string[][]> {
    const record = await Deno.readTextFile(`${this.#dir}/calls`).catch(() => "");
    return record.split(`${END_OF_CALL}${END_OF_ARGUMENT}`).slice(0, -1)
      .map((call) => call.split(END_OF_ARGUMENT).slice(0, -1))
      .filter((args) => `${args.join(" ")} `.startsWith(words && `${words} `));
  }

  /** Removes the script and all that belongs to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true });
  }
}

const END_OF_ARGUMENT = "\x1f";
const END_OF_CALL = "\x1e";

function mainScript(dir: string): string {
  return `#!/bin/sh
printf '%s${END_OF_ARGUMENT}' "$@" '${END_OF_CALL}' >>'${dir}/calls'
answer() {
  n=1
  while [ -e "${dir}/answer-$1.$((n + 1))" ] && ! mkdir "${dir}/answer-$1.$n.used" 2>/dev/null; do n=$((n + 1)); done
  . "${dir}/answer-$1.$n"
}
. '${dir}/rules'
`;
}

function answerScript({ code = 0, gate, script = "", stderr = "", stdout = "" }: Answer): string {
  return [
    script,
    gate === undefined ? "" : `: >'${gate.path}.reached'; : <'${gate.path}.open'`,
    `printf '%s' ${quote(stdout)}`,
    `printf '%s' ${quote(stderr)} >&2`,
    `exit ${code}`,
  ].join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

async function makePipes(...paths: string[]): Promise<void> {
  const { success } = await new Deno.Command("mkfifo", { args: paths }).output();
  if (!success) throw new Error(`Cannot make the pipes ${paths.join(", ")}`);
}

/** Waits until somebody has the other end of a pipe. */
async function meet(path: string, options: Deno.OpenOptions): Promise<void> {
  (await Deno.open(path, options)).close();
}
