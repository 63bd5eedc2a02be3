import type { HttpReader } from "./http_message.ts";
import { toBytes, toText } from "./http_message.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** What an app answers to agree to a WebSocket. */
export async function acceptance(key: string, headers: readonly string[] = []): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", toBytes(key + GUID));
  const accept = btoa(toText(new Uint8Array(hash)));
  return [
    "HTTP/1.1 101 Switching Protocols",
    "upgrade: websocket",
    "connection: Upgrade",
    `sec-websocket-accept: ${accept}`,
    ...headers,
  ].join("\r\n") + "\r\n\r\n";
}

/** The headers by which a client asks for a WebSocket. */
export function asking(...headers: string[]): string[] {
  return [
    "upgrade: websocket",
    "connection: Upgrade",
    `sec-websocket-key: ${KEY}`,
    "sec-websocket-version: 13",
    ...headers,
  ];
}

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];

/** What came from the other side. */
export type Received =
  | { text: string }
  | { binary: Uint8Array }
  | { close: number | undefined; reason: string }
  /** The connection ended without a close frame. */
  | { ended: true };

/** One end of a WebSocket that writes and reads its frames itself, and may do so wrongly. */
export class WebSocketPeer {
  readonly #wire: { send(data: Uint8Array): Promise<boolean>; readonly reader: HttpReader };
  readonly #masks: boolean;

  /** @param masks Clients mask what they send. */
  constructor(
    wire: { send(data: Uint8Array): Promise<boolean>; readonly reader: HttpReader },
    role: "client" | "app",
  ) {
    this.#wire = wire;
    this.#masks = role === "client";
  }

  /** Sends a message; `false` where the other side has closed. */
  send(data: string | Uint8Array): Promise<boolean> {
    return typeof data === "string" ? this.frame(TEXT, new TextEncoder().encode(data)) : this.frame(BINARY, data);
  }

  /** Sends a close frame, with a code or without. */
  close(code?: number, reason = ""): Promise<boolean> {
    if (code === undefined) return this.frame(CLOSE, new Uint8Array(0));
    return this.frame(CLOSE, new Uint8Array([code >> 8, code & 255, ...new TextEncoder().encode(reason)]));
  }

  /** Sends one frame. */
  async frame(opcode: number, payload: Uint8Array, final = true): Promise<boolean> {
    const { length } = payload;
    const long = length < 126 ? [] : length < 65536 ? bigEndian(length, 2) : bigEndian(length, 8);
    const short = length < 126 ? length : length < 65536 ? 126 : 127;
    // A mask of zeros is legal, and leaves the payload as it is.
    const mask = this.#masks ? [0, 0, 0, 0] : [];
    const head = new Uint8Array([(final ? 128 : 0) | opcode, (this.#masks ? 128 : 0) | short, ...long, ...mask]);
    return await this.#wire.send(head) && await this.#wire.send(payload);
  }

  /** The next message or the end; answers pings on the way. */
  async receive(): Promise<Received> {
    const parts: Uint8Array[] = [];
    for (let kind = 0;;) {
      const frame = await this.#frame();
      if (frame === undefined) return { ended: true };
      const { opcode, final, payload } = frame;
      if (opcode === PING) await this.frame(PONG!, payload);
      if (opcode === CLOSE) {
        const code = payload.length < 2 ? undefined : payload[0]! * 256 + payload[1]!;
        return { close: code, reason: new TextDecoder().decode(payload.subarray(2)) };
      }
      if (opcode > BINARY!) continue;
      if (opcode !== CONTINUATION) kind = opcode;
      parts.push(payload);
      if (!final) continue;
      const whole = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
      return kind === TEXT ? { text: new TextDecoder().decode(whole) } : { binary: whole };
    }
  }

  async #frame(): Promise<{ opcode: number; final: boolean; payload: Uint8Array } | undefined> {
    const { reader } = this.#wire;
    const [first, second] = await reader.exactly(2);
    if (first === undefined || second === undefined) return undefined;
    let length = second & 127;
    if (length > 125) {
      length = (await reader.exactly(length === 126 ? 2 : 8)).reduce((sum, byte) => sum * 256 + byte, 0);
    }
    const mask = second & 128 ? await reader.exactly(4) : undefined;
    const payload = await reader.exactly(length);
    if (payload.length < length) return undefined;
    if (mask !== undefined) { for (let at = 0; at < length; at++) payload[at]! ^= mask[at & 3]!; }
    return {
      opcode: first & 15,
      final: first >= 128,
      payload,
    };
  }
}

function bigEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, at) => Math.floor(value / 256 ** (bytes - 1 - at)) % 256);
}
