import type { Clock } from "../base/clock.ts";
import { bytesMessage, cut, jsonMessage, KIND, readSize, readTaken, takenMessage } from "../control/exec/messages.ts";
import type { ExecEnd, ExecPiece, ExecProcess, TerminalSize } from "../control/exec/process.ts";
import type { ExecClient } from "../control/exec/sessions.ts";
import { ReceiveWindow, SendWindow } from "../control/exec/window.ts";
import { defined } from "../model/defined.ts";
import type { Instance } from "../pool/instance.ts";

/** A message against the rules: RFC 6455, section 7.4.2, reserves these codes for applications. */
const BROKEN_RULES = 4400;
const DONE = 1000;
/** The connection of a client that has sent nothing for this long after the end, ms, is closed from here. */
const LINGER_MS = 5000;

/** The client of an exec session, over a WebSocket: see `messages.ts` for what it sends and gets. */
export class ExecSocket implements ExecClient {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #gone = new AbortController();
  readonly #output = new SendWindow();
  readonly #input = new ReceiveWindow();
  /** Pieces of standard input that the command has not got yet; one without bytes is its end. */
  readonly #waiting: Uint8Array[] = [];
  /** A size that the command has not got yet. */
  #size: TerminalSize | undefined;
  #process: ExecProcess | undefined;
  #isFeeding = false;
  #isResizing = false;
  /** Set once the session has ended. */
  #cancelClose: (() => void) | undefined;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onerror = () => {}; // a close event follows
    socket.onclose = () => this.#leave();
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when messages can be sent; the client may be gone by then. */
  async opened(): Promise<void> {
    if (this.#socket.readyState !== WebSocket.CONNECTING) return;
    await new Promise<void>((resolve) => {
      this.#socket.onopen = () => resolve();
      this.gone.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  started(process: ExecProcess, { id, revision }: Instance): void {
    this.#process = process;
    this.#send(jsonMessage(KIND.started, { instance: id, revision: revision.name }));
    this.#feed();
    this.#resize();
  }

  async send({ bytes, stream }: ExecPiece): Promise<void> {
    for (const piece of cut(bytes)) {
      if (!await this.#output.take(piece.length)) return;
      this.#send(bytesMessage(stream === "stdout" ? KIND.stdout : KIND.stderr, piece));
    }
  }

  /**
   * Tells the client how the session has ended. The client closes the connection: if a message of it came after a close
   * from here, the platform would drop the connection, with what the client has not read.
   */
  end({ code, output, problem }: ExecEnd): void {
    this.#process = undefined;
    this.#send(jsonMessage(KIND.exit, defined({ code, reason: problem, output })));
    if (!this.gone.aborted) this.#closeLater();
  }

  #closeLater(): void {
    this.#cancelClose?.();
    this.#cancelClose = this.#clock.after(LINGER_MS, () => {
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(DONE);
    });
  }

  #send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  #receive(data: unknown): void {
    if (this.gone.aborted) return;
    if (this.#cancelClose !== undefined) this.#closeLater();
    const isGood = data instanceof ArrayBuffer && this.#take(new Uint8Array(data));
    if (isGood) return;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(BROKEN_RULES, "a message against the rules");
    this.#leave();
  }

  /** Takes a message. Returns false if it breaks the rules. */
  #take(message: Uint8Array): boolean {
    const content = message.subarray(1);
    switch (message[0]) {
      case KIND.stdin:
        if (!this.#input.arrived(content.length)) return false;
        this.#waiting.push(content);
        this.#feed();
        return true;
      case KIND.taken: {
        const bytes = readTaken(content);
        if (bytes !== undefined) this.#output.give(bytes);
        return bytes !== undefined;
      }
      case KIND.resize:
        this.#size = readSize(content) ?? this.#size;
        this.#resize();
        return true;
      default:
        return false;
    }
  }

  /** Passes the waiting input on to the command, in order, as fast as it reads. */
  async #feed(): Promise<void> {
    const process = this.#process;
    if (process === undefined || this.#isFeeding) return;
    this.#isFeeding = true;
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
      // A command that reads no more has its reasons: what comes for it is thrown away.
      await (piece.length === 0 ? process.endInput() : process.write(piece)).catch(() => {});
      const taken = this.#input.took(piece.length);
      if (taken > 0) this.#send(takenMessage(taken));
    }
    this.#isFeeding = false;
  }

  /** Passes the last size on. */
  async #resize(): Promise<void> {
    const process = this.#process;
    if (process === undefined || this.#isResizing) return;
    this.#isResizing = true;
    for (let size = this.#size; size !== undefined; size = this.#size) {
      this.#size = undefined;
      await process.resize(size).catch(() => {}); // it has just ended
    }
    this.#isResizing = false;
  }

  #leave(): void {
    this.#cancelClose?.();
    this.#output.close();
    this.#waiting.length = 0;
    this.#gone.abort();
  }
}
