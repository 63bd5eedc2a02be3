import { MuxAsyncIterator } from "@std/async/mux-async-iterator";
import { concat } from "@std/bytes/concat";
import { messageOf } from "../../base/errors.ts";
import { piecesOf } from "../../base/streams.ts";
import {
  EXEC_CODE,
  type ExecEnd,
  type ExecPiece,
  type ExecProcess,
  type TerminalSize,
} from "../../control/exec/process.ts";
import { killGroup } from "../command.ts";
import { failedStart, isFailedStart } from "./failed_start.ts";

/** A text of an engine that is longer is the output of the command. */
const MAX_REASON_LENGTH = 4096;
/** How the docker command reports that it could not even ask the engine. */
const DOCKER_FAILURE =
  /^(Error response from daemon: |Error: |(?=Cannot connect to the Docker daemon|unable to upgrade))/;

const LINE_FEED = 10;

/** A command in a container, by `docker exec`. */
export class CommandExec implements ExecProcess {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  /** The path of its terminal, if it is to have one. */
  readonly #device = Promise.withResolvers<string>();
  readonly #hasTerminal: boolean;
  #hasEnded = false;

  /** @param child All its streams are piped. @param hasTerminal Whether it is as {@linkcode atTerminal} says. */
  constructor(child: Deno.ChildProcess, hasTerminal: boolean) {
    this.#child = child;
    this.#hasTerminal = hasTerminal;
    this.#input = child.stdin.getWriter();
    this.#input.closed.catch(() => {}); // `write` reports it
  }

  async *run(): AsyncGenerator<ExecPiece, ExecEnd, void> {
    const both = new MuxAsyncIterator<ExecPiece>();
    const stdout = piecesOfStream("stdout", this.#child.stdout);
    both.add(this.#hasTerminal ? afterFirstLine(stdout, this.#device.resolve) : stdout);
    both.add(piecesOfStream("stderr", this.#child.stderr));
    // What may be the reason of a failure is held back until the command ends, or writes something else.
    let held: ExecPiece[] = [];
    let mayHaveFailed = true;
    for await (const piece of both) {
      mayHaveFailed &&= mayBeReason(piece);
      if (mayHaveFailed) {
        held.push(piece);
        continue;
      }
      yield* held;
      held = [];
      yield piece;
    }
    const { code } = await this.#child.status;
    this.#hasEnded = true;
    const reason = new TextDecoder().decode(concat(held.map(({ bytes }) => bytes)));
    if (isFailedStart(reason) && code >= EXEC_CODE.failed && code <= EXEC_CODE.notFound) return failedStart(reason);
    if (held.length > 0 && held.every(({ stream }) => stream === "stderr") && code === 1) {
      return { code: EXEC_CODE.failed, problem: messageOf(reason).replace(DOCKER_FAILURE, "") };
    }
    yield* held;
    return { code };
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#input.write(bytes);
  }

  async endInput(): Promise<void> {
    await this.#input.close();
  }

  async resize(size: TerminalSize): Promise<void> {
    if (!this.#hasTerminal) return;
    const args = ["-F", await this.#device.promise, ...sizeArgs(size)];
    await new Deno.Command("stty", { args, stdin: "null", stdout: "null", stderr: "null" }).output();
  }

  [Symbol.dispose](): void {
    this.#input.abort().catch(() => {});
    if (!this.#hasEnded) killGroup(this.#child, "SIGKILL");
  }
}

/**
 * The arguments with which `script` (of util-linux) runs a program at a terminal of its own. The first line of the
 * output is the terminal's path.
 */
export function atTerminal(program: readonly string[], size: TerminalSize): string[] {
  const quoted = program.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const command = `tty; stty ${sizeArgs(size).join(" ")}; exec ${quoted}`;
  return ["--quiet", "--flush", "--return", "--command", command, "/dev/null"];
}

function sizeArgs({ columns, rows }: TerminalSize): string[] {
  return ["cols", `${columns}`, "rows", `${rows}`];
}

/** What comes after the first line. @param first Gets that line, without its end. */
async function* afterFirstLine(
  pieces: AsyncIterable<ExecPiece>,
  first: (line: string) => void,
): AsyncGenerator<ExecPiece, void, void> {
  let line: Uint8Array | undefined = new Uint8Array();
  for await (const piece of pieces) {
    if (line === undefined) {
      yield piece;
      continue;
    }
    line = concat([line, piece.bytes]);
    const end = line.indexOf(LINE_FEED);
    if (end < 0) continue;
    first(new TextDecoder().decode(line.subarray(0, end)).trimEnd());
    const rest: Uint8Array = line.subarray(end + 1);
    line = undefined;
    if (rest.length > 0) yield { ...piece, bytes: rest };
  }
}

function mayBeReason({ bytes, stream }: ExecPiece): boolean {
  if (bytes.length > MAX_REASON_LENGTH) return false;
  const text = new TextDecoder().decode(bytes);
  return isFailedStart(text) || (stream === "stderr" && DOCKER_FAILURE.test(text));
}

/** One of the two streams. Each piece is a copy, since the next one is read before this one is used. */
async function* piecesOfStream(
  stream: ExecPiece["stream"],
  bytes: ReadableStream<Uint8Array>,
): AsyncGenerator<ExecPiece, void, void> {
  for await (const piece of piecesOf(bytes)) yield { stream, bytes: piece.slice() };
}
