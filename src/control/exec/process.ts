/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A command for a container. */
export interface ExecCommand {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** As whom it runs, such as `root` or `1000:1000`; `undefined` for the container's user. */
  readonly user: string | undefined;
  /** The size of its terminal; `undefined` if it has none. With a terminal, all output comes as stdout. */
  readonly terminal: TerminalSize | undefined;
}

/** A piece of a command's output, valid until the next one is requested. */
export interface ExecPiece {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** How a command ended. */
export interface ExecEnd {
  /** Its exit code; if there is a problem, a code from 125 to 127, or 137. */
  readonly code: number;
  /** Why it could not be run, or why its session has ended early; for operators, on one line. */
  readonly problem?: string;
  /** The last lines of the app, if the problem is that it did not start. */
  readonly output?: readonly string[];
}

/** The exit codes of docker for commands that were not run. */
export const EXEC_CODE = {
  /** Something else than the command has failed. */
  failed: 125,
  /** The container has the program, but cannot run it. */
  notRunnable: 126,
  notFound: 127,
  /** It was killed. */
  killed: 137,
} as const;

/** A command that runs in a container. Disposing of it closes the connection, which does not end the command. */
export interface ExecProcess extends Disposable {
  /** Its output as it comes, and then how it ended; call it once. @throws {ExecError} If the engine has gone. */
  run(): AsyncGenerator<ExecPiece, ExecEnd, void>;
  /** Writes to its standard input; resolves when there is room for more. Rejects if the command reads no more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends its standard input. */
  endInput(): Promise<void>;
  /** Changes the size of its terminal. */
  resize(size: TerminalSize): Promise<void>;
}

/** The engine did not run a command. The message is for operators. */
export class ExecError extends Error {
  override readonly name = "ExecError";
}
