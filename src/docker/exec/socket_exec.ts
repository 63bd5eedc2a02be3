import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import {
  EXEC_CODE,
  type ExecEnd,
  ExecError,
  type ExecPiece,
  type ExecProcess,
  type TerminalSize,
} from "../../control/exec/process.ts";
import { messageOf } from "../../base/errors.ts";
import { kindOf } from "../engine_error.ts";
import { framesOf } from "../frames.ts";
import { failedStart, isFailedStart } from "./failed_start.ts";
import { type Hijacked, writeAll } from "./hijack.ts";

const READ_BYTES = 32 * 1024;
/** Ctrl-D twice: after the beginning of a line, one only ends that. */
const END_OF_INPUT = new Uint8Array([4, 4]);
/** After the output has ended, the engine may need a moment to know the exit code. */
const CODE_CHECKS = 50;
const CODE_CHECK_MS = 20;

/** What `GET /exec/ID/json` says. */
export interface ExecState {
  readonly Running?: boolean;
  readonly ExitCode?: number | null;
  /** 0 if it was never started; Podman also gives 0 for one that has ended. */
  readonly Pid?: number;
}

/** Asks the engine about one command that it has been given. */
export interface ExecRequests {
  state(): Promise<ExecState>;
  resize(size: TerminalSize): Promise<void>;
}

/** A command in a container over a connection to the engine's socket. */
export class SocketExec implements ExecProcess {
  readonly #connection: Deno.UnixConn;
  readonly #begun: Uint8Array;
  readonly #requests: ExecRequests;
  readonly #terminal: TerminalSize | undefined;
  readonly #clock: Clock;
  #isClosed = false;

  constructor(
    { begun, connection }: Hijacked,
    requests: ExecRequests,
    { clock, terminal }: { readonly clock: Clock; readonly terminal: TerminalSize | undefined },
  ) {
    this.#connection = connection;
    this.#begun = begun;
    this.#requests = requests;
    this.#terminal = terminal;
    this.#clock = clock;
  }

  async *run(): AsyncGenerator<ExecPiece, ExecEnd, void> {
    let reason: string | undefined;
    let isFirst = true;
    for await (const piece of this.#terminal !== undefined ? rawPieces(this.#bytes()) : framesOf(this.#bytes())) {
      // If the command could not be started, the engine says why in place of the output. It says of such a command what
      // Podman says of any that has ended, so the text counts too.
      if (isFirst && isFailedStart(new TextDecoder().decode(piece.bytes)) && await this.#hasFailed()) reason = "";
      // Podman knows no size for the start.
      if (isFirst && reason === undefined && this.#terminal !== undefined) this.resize(this.#terminal).catch(() => {});
      isFirst = false;
      if (reason === undefined) yield piece;
      else reason += new TextDecoder().decode(piece.bytes);
    }
    if (reason !== undefined) return failedStart(reason);
    return await this.#end();
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#connection, bytes);
  }

  async endInput(): Promise<void> {
    if (this.#terminal === undefined) await this.#connection.closeWrite();
    else await this.write(END_OF_INPUT); // an engine ends the output of a command with a terminal along with its input
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#requests.resize(size);
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.close();
  }

  async *#bytes(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#begun.length > 0) yield this.#begun;
    const room = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await this.#connection.read(room).catch((error) => {
        throw new ExecError("the engine has cut the connection to the command", { cause: error });
      });
      if (count === null) return;
      yield room.subarray(0, count);
    }
  }

  async #hasFailed(): Promise<boolean> {
    const { Pid, Running } = await this.#requests.state().catch((): ExecState => ({}));
    return Pid === 0 && Running === false;
  }

  async #end(): Promise<ExecEnd> {
    for (let check = 1; check <= CODE_CHECKS; check++) {
      let state: ExecState;
      try {
        state = await this.#requests.state();
      } catch (error) {
        if (kindOf(error) !== "gone") throw new ExecError(messageOf(error), { cause: error });
        return { code: EXEC_CODE.killed, problem: "the instance has ended" }; // and its container is removed
      }
      if (state.Running === false && typeof state.ExitCode === "number") return { code: state.ExitCode };
      await delay(this.#clock, CODE_CHECK_MS);
    }
    throw new ExecError("the engine has cut the connection, and the command may still be running");
  }
}

/** The output of a command with a terminal. */
async function* rawPieces(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ExecPiece, void, void> {
  for await (const piece of bytes) yield { stream: "stdout", bytes: piece };
}
