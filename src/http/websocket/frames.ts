import { concat } from "@std/bytes/concat";

/** Limit for a message, which must be complete before it can be passed on. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** The longest header of a frame from a server. */
const MAX_HEAD_BYTES = 10;

/** The kinds of frames: RFC 6455, section 5.2. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Why a WebSocket is closed: RFC 6455, section 7.4.1. */
export const CloseCode = {
  protocolError: 1002,
  /** Stands for a close frame without a code; never sent. */
  none: 1005,
  /** Stands for a connection that ended without a close frame; never sent. */
  broken: 1006,
  notText: 1007,
  tooBig: 1009,
  unexpected: 1011,
} as const;

/** Encodes a message as one frame, masked as a client's must be: RFC 6455, section 5.3. */
export function maskedFrame(opcode: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const start = 2 + extra + 4;
  const frame = new Uint8Array(start + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) view.setUint16(2, length);
  if (extra === 8) view.setBigUint64(2, BigInt(length));
  const mask = crypto.getRandomValues(frame.subarray(2 + extra, start));
  for (let at = 0; at < length; at++) frame[start + at] = payload[at]! ^ mask[at & 3]!;
  return frame;
}

/** The payload of a close frame. @param code `CloseCode.none` for an empty payload. */
export function closePayload(code: number, reason: string): Uint8Array {
  if (code === CloseCode.none) return new Uint8Array(0);
  return new Uint8Array([code >> 8, code & 255, ...new TextEncoder().encode(reason)]);
}

/** What a {@linkcode FrameDecoder} reports to. */
export interface Receiver {
  message(data: string | Uint8Array<ArrayBuffer>): void;
  ping(payload: Uint8Array): void;
  /** @param code 1005 if the frame has none. */
  close(code: number, reason: string): void;
}

/** The other side violates the protocol. */
export class WebSocketError extends Error {
  override readonly name = "WebSocketError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Decodes the frames of a server, which arrive in arbitrary pieces: RFC 6455, section 5. */
export class FrameDecoder {
  readonly #receiver: Receiver;
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headLength = 0;
  #opcode = 0;
  #final = false;
  /** How many bytes of the frame's payload are missing; -1 while its header is read. */
  #left = -1;
  #control: Uint8Array[] = [];
  #kind: number = Opcode.continuation;
  /** Holds the message received so far, and has room for more. */
  #message = new Uint8Array(0);
  #filled = 0;
  #size = 0;
  #closed = false;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /**
   * Decodes the next piece, and ignores what follows a close frame. The caller may reuse the piece's memory.
   *
   * @throws {WebSocketError} If the frames violate the protocol, or a message is too long.
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
      throw new WebSocketError(CloseCode.protocolError, "a frame of an extension that was not negotiated");
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
    if (!fits) throw new WebSocketError(CloseCode.protocolError, "a frame that is not allowed here");
    if (this.#opcode >= Opcode.close) return;
    if (this.#opcode !== Opcode.continuation) this.#kind = this.#opcode;
    this.#size += length;
    if (this.#size > MAX_MESSAGE_BYTES) throw new WebSocketError(CloseCode.tooBig, "a message of more than 64 MB");
  }

  /** Appends to one buffer: many small fragments would take far more memory than their bytes. */
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

/** Whether a close frame may have this code: RFC 6455, section 7.4, and the codes registered since. */
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
