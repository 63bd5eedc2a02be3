import { concat } from "@std/bytes/concat";
import { CloseCode, Opcode } from "./frame.ts";

/** How long a message may be, bytes: it has to be put together before it can be passed on. */
const MOST_MESSAGE_BYTES = 64 * 1024 * 1024;
const LONGEST_HEAD = 10;

/** Who is told of what the frames say. */
export interface Receiver {
  message(data: string | Uint8Array<ArrayBuffer>): void;
  ping(payload: Uint8Array): void;
  /** @param code 1005 where there is none. */
  close(code: number, reason: string): void;
}

/** The other side breaks the protocol. */
export class WebSocketError extends Error {
  override readonly name = "WebSocketError";
  /** What to close with: RFC 6455, section 7.4.1. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Reads what a server sends, cut anywhere: RFC 6455, section 5. */
export class FrameDecoder {
  readonly #receiver: Receiver;
  readonly #head = new Uint8Array(LONGEST_HEAD);
  #headLength = 0;
  #opcode = 0;
  #final = false;
  /** Of the frame's payload, bytes; -1 while its head is read. */
  #left = -1;
  #control: Uint8Array[] = [];
  #kind: number = Opcode.continuation;
  /** The message as far as it has come, with room behind it. */
  #message = new Uint8Array(0);
  #filled = 0;
  /** Of the message, with all of the frame that has begun, bytes. */
  #size = 0;
  #closed = false;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /**
   * Reads on, up to a close: what follows one means nothing. What is given may be used again afterwards.
   *
   * @throws {WebSocketError}
   */
  decode(bytes: Uint8Array): void {
    for (let at = 0; !this.#closed && (at < bytes.length || this.#left === 0);) {
      if (this.#left === -1) {
        this.#head[this.#headLength++] = bytes[at++]!;
        this.#readHead();
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      if (this.#opcode >= Opcode.close) this.#control.push(part.slice());
      else this.#append(part);
      if (this.#left === 0) this.#endFrame();
    }
  }

  #readHead(): void {
    const [first, second] = this.#head as unknown as [number, number];
    if (this.#headLength < 2) return;
    const short = second & 127;
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (this.#headLength < 2 + extra) return;
    const view = new DataView(this.#head.buffer, 2);
    const length = extra === 0 ? short : extra === 2 ? view.getUint16(0) : Number(view.getBigUint64(0));
    this.#opcode = first & 15;
    this.#final = first >= 128;
    if (first & 0x70) {
      throw new WebSocketError(CloseCode.protocolError, "a frame of an extension that was not agreed on");
    }
    if (second & 128) throw new WebSocketError(CloseCode.protocolError, "a masked frame");
    this.#check(length);
    this.#headLength = 0;
    this.#left = length;
  }

  #check(length: number): void {
    const fits = {
      [Opcode.continuation]: this.#kind !== Opcode.continuation,
      [Opcode.text]: this.#kind === Opcode.continuation,
      [Opcode.binary]: this.#kind === Opcode.continuation,
      [Opcode.close]: this.#final && length < 126 && length !== 1,
      [Opcode.ping]: this.#final && length < 126,
      [Opcode.pong]: this.#final && length < 126,
    }[this.#opcode];
    if (!fits) throw new WebSocketError(CloseCode.protocolError, "a frame that has no place here");
    if (this.#opcode >= Opcode.close) return;
    if (this.#opcode !== Opcode.continuation) this.#kind = this.#opcode;
    this.#size += length;
    if (this.#size > MOST_MESSAGE_BYTES) throw new WebSocketError(CloseCode.tooBig, "a message of more than 64 MB");
  }

  /** In one piece, since each of many small fragments would take more memory than it has bytes. */
  #append(part: Uint8Array): void {
    const filled = this.#filled + part.length;
    if (filled > this.#message.length) {
      const roomy = new Uint8Array(this.#final ? this.#size : Math.max(filled, 2 * this.#message.length));
      roomy.set(this.#message);
      this.#message = roomy;
    }
    this.#message.set(part, this.#filled);
    this.#filled = filled;
  }

  #endFrame(): void {
    this.#left = -1;
    if (this.#opcode >= Opcode.close) {
      const payload = concat(this.#control);
      this.#control = [];
      if (this.#opcode === Opcode.ping) this.#receiver.ping(payload);
      if (this.#opcode === Opcode.close) {
        const code = payload.length < 2 ? CloseCode.none : payload[0]! * 256 + payload[1]!;
        if (payload.length > 0 && !mayBeSent(code)) {
          throw new WebSocketError(CloseCode.protocolError, `a close with the code ${code}`);
        }
        this.#closed = true;
        this.#receiver.close(code, textOf(payload.subarray(2)));
      }
      return;
    }
    if (!this.#final) return;
    const whole = this.#message.subarray(0, this.#size);
    const kind = this.#kind;
    this.#kind = Opcode.continuation;
    this.#message = new Uint8Array(0);
    this.#filled = this.#size = 0;
    this.#receiver.message(kind === Opcode.text ? textOf(whole) : whole);
  }
}

/** RFC 6455, section 7.4, and what has been registered since. */
function mayBeSent(code: number): boolean {
  return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WebSocketError(CloseCode.notText, "text that is not UTF-8");
  }
}
