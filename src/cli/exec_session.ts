import { OperatorError } from "../base/errors.ts";
import { bytesMessage, cut, KIND, readTaken, resizeMessage, takenMessage } from "../control/exec/messages.ts";
import type { TerminalSize } from "../control/exec/process.ts";
import { ReceiveWindow, SendWindow } from "../control/exec/window.ts";
import { parseObject } from "./streams.ts";

const READ_BYTES = 32 * 1024;
/** The exit code of a program that writes where nobody reads any more. */
const BROKEN_PIPE = 128 + 13;

/** How a session ended. */
export interface SessionEnd {
  readonly code: number;
  /** Why the command was not run, or the session was cut off. */
  readonly reason?: string | undefined;
  /** The last lines of an app that did not start. */
  readonly output?: readonly string[];
}

/** Where a session reads and writes. */
export interface Streams {
  /** `undefined` for a command without standard input. */
  readonly stdin: { read(into: Uint8Array): Promise<number | null> } | undefined;
  readonly stdout: { write(bytes: Uint8Array): Promise<number> };
  readonly stderr: { write(bytes: Uint8Array): Promise<number> };
}

/** The client's side of an exec session: see `messages.ts`. */
export class ExecSession {
  readonly #socket: WebSocket;
  readonly #streams: Streams;
  readonly #started: () => Promise<void>;
  readonly #input = new SendWindow();
  readonly #output = new ReceiveWindow();
  readonly #ended = Promise.withResolvers<SessionEnd>();
  #written: Promise<void> = Promise.resolve();

  /**
   * @param socket It need not be open yet.
   * @param started Called when the command runs. Nothing is read or written until its promise has resolved.
   */
  constructor(socket: WebSocket, streams: Streams, started: () => Promise<void>) {
    this.#socket = socket;
    this.#streams = streams;
    this.#started = started;
    this.#ended.promise.catch(() => {}); // `run` reports it
    socket.onmessage = ({ data }) => this.#receive(new Uint8Array(data));
    socket.onerror = () => {}; // a close event follows
    socket.onopen = () => {
      socket.onclose = () => {
        // What came before is written first, and an end that was told counts.
        this.#written.then(() => this.#ended.reject(new OperatorError("the connection to cless has broken off")));
      };
    };
  }

  /**
   * Passes everything on until the session ends.
   *
   * @param opened Rejects if the socket cannot be opened. @throws {OperatorError} If the connection is lost.
   */
  async run(opened: Promise<void>): Promise<SessionEnd> {
    opened.catch((error) => this.#ended.reject(error));
    try {
      return await this.#ended.promise;
    } finally {
      this.#input.close();
      this.#socket.close();
    }
  }

  resize(size: TerminalSize): void {
    this.#send(resizeMessage(size));
  }

  /** Ends the session from this side. The command goes on, without input. */
  leave(code: number): void {
    this.#ended.resolve({ code });
  }

  #send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  #receive(message: Uint8Array): void {
    const content = message.subarray(1);
    switch (message[0]) {
      case KIND.stdout:
        return this.#write(this.#streams.stdout, content);
      case KIND.stderr:
        return this.#write(this.#streams.stderr, content);
      case KIND.started:
        this.#written = this.#written.then(() => this.#started());
        return void this.#written.then(() => this.#passInput());
      case KIND.taken:
        return this.#input.give(readTaken(content) ?? 0);
      case KIND.exit: {
        const end = readEnd(content);
        this.#written.then(() => this.#ended.resolve(end));
      }
    }
  }

  /** Writes after what came before, and then reports it as taken, so that no more arrives than can be written. */
  #write(stream: Streams["stdout"], bytes: Uint8Array): void {
    this.#written = this.#written.then(async () => {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await stream.write(rest));
      const taken = this.#output.took(bytes.length);
      if (taken > 0) this.#send(takenMessage(taken));
    }).catch((error) => {
      if (error instanceof Deno.errors.BrokenPipe) return this.#ended.resolve({ code: BROKEN_PIPE });
      this.#ended.reject(error);
    });
  }

  async #passInput(): Promise<void> {
    const { stdin } = this.#streams;
    const room = new Uint8Array(READ_BYTES);
    for (;;) {
      // What cannot be read any more has ended.
      const count = await stdin?.read(room).catch(() => null) ?? null;
      if (count === null) break;
      for (const piece of cut(room.subarray(0, count))) {
        if (!await this.#input.take(piece.length)) return;
        this.#send(bytesMessage(KIND.stdin, piece));
      }
    }
    this.#send(bytesMessage(KIND.stdin, new Uint8Array()));
  }
}

function readEnd(content: Uint8Array): SessionEnd {
  const { code, output, reason } = parseObject(new TextDecoder().decode(content)) ?? {};
  return {
    code: typeof code === "number" ? code : 1,
    reason: typeof reason === "string" ? reason : undefined,
    output: Array.isArray(output) ? output.map(String) : [],
  };
}
