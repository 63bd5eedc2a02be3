import type { Switched } from "../exact/exchange.ts";
import { CloseCode, closePayload, FrameDecoder, maskedFrame, Opcode, WebSocketError } from "./frames.ts";

const MIN_BYTES_AT_ONCE = 4 * 1024;
const MAX_BYTES_AT_ONCE = 64 * 1024;
const encoder = new TextEncoder();

/** What an {@linkcode AppSocket} reports to. */
export interface AppListener {
  /** Called for each message. The next one is read when the returned promise has resolved. */
  message(data: string | Uint8Array<ArrayBuffer>): Promise<void> | void;
  /** Called once, at the end. @param code 1005 if the app gave none, 1006 if the connection ended without a close. */
  close(code: number, reason: string): void;
}

/**
 * The app's side of a WebSocket. Unlike the platform's client, it reads no faster than its listener, and can close with
 * any code.
 */
export class AppSocket {
  readonly #switched: Switched;
  readonly #waiting: Uint8Array[] = [];
  #writing = false;
  #buffered = 0;
  /**
   * The pong to send after the frame that is being written. If several pings come until then, only the last needs a
   * pong: RFC 6455, section 5.5.3.
   */
  #pong: Uint8Array | undefined;
  #closeSent = false;
  #over = false;

  constructor(switched: Switched) {
    this.#switched = switched;
  }

  get bufferedBytes(): number {
    return this.#buffered;
  }

  async listen(listener: AppListener): Promise<void> {
    const messages: (string | Uint8Array<ArrayBuffer>)[] = [];
    let end: { code: number; reason: string } | undefined;
    const decoder = new FrameDecoder({
      message: (data) => messages.push(data),
      ping: (payload) => this.#answerPing(payload),
      close: (code, reason) => end ??= { code, reason },
    });
    try {
      let bytes: Uint8Array = this.#switched.begun;
      let buffer = new Uint8Array(MIN_BYTES_AT_ONCE);
      while (end === undefined) {
        decoder.decode(bytes);
        for (const message of messages.splice(0)) await listener.message(message);
        if (end !== undefined) break;
        if (bytes.length === buffer.length) buffer = new Uint8Array(Math.min(2 * buffer.length, MAX_BYTES_AT_ONCE));
        const count = await this.#switched.connection.read(buffer);
        if (count === 0) break;
        bytes = buffer.subarray(0, count);
      }
    } catch (error) {
      // The app broke the protocol, or its connection ended. Earlier messages are passed on.
      for (const message of messages) await listener.message(message);
      if (error instanceof WebSocketError) this.close(error.code, "");
    }
    const { code, reason } = end ?? { code: CloseCode.broken, reason: "" };
    if (end !== undefined) this.close(code, "");
    listener.close(code, reason);
    this.#over = true;
    if (!this.#writing) this.#switched.close(); // otherwise `#write` closes it once everything has been sent
  }

  send(data: string | ArrayBuffer): void {
    if (typeof data === "string") this.#send(Opcode.text, encoder.encode(data));
    else this.#send(Opcode.binary, new Uint8Array(data));
  }

  /** Sends a close frame; only the first call counts. @param code 1005 for none. */
  close(code: number, reason: string): void {
    if (this.#closeSent) return;
    this.#send(Opcode.close, closePayload(code, reason));
    this.#closeSent = true;
  }

  /** Closes the connection at once. */
  drop(): void {
    this.#over = true;
    this.#switched.close();
  }

  #send(opcode: number, payload: Uint8Array): void {
    if (this.#closeSent || this.#over) return;
    const frame = maskedFrame(opcode, payload);
    this.#buffered += frame.length;
    this.#waiting.push(frame);
    if (!this.#writing) this.#write();
  }

  #answerPing(payload: Uint8Array): void {
    if (this.#closeSent || this.#over) return;
    if (this.#writing) this.#pong = payload.slice();
    else this.#send(Opcode.pong, payload);
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
        await this.#switched.connection.write(frame);
        this.#buffered -= frame.length;
        const pong = this.#pong;
        this.#pong = undefined;
        if (pong !== undefined) this.#send(Opcode.pong, pong);
      }
    } catch {
      this.drop(); // the pending read fails, which ends `listen`
    }
    this.#writing = false;
    if (this.#over) this.#switched.close();
  }
}
