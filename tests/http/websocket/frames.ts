import { concat } from "@std/bytes/concat";
import { FrameDecoder, WebSocketError } from "../../../src/http/websocket/frames.ts";
import { toBytes } from "../../support/http_message.ts";

/** What a {@linkcode FrameDecoder} reports, or its error. */
export type Told =
  | { text: string }
  | { binary: Uint8Array }
  | { ping: Uint8Array }
  | { close: number; reason: string }
  | { refused: number };

/** Properties of a frame beside its opcode and payload. */
export interface FrameParts {
  readonly final?: boolean;
  /** RSV1 is 0x40, RSV2 0x20, RSV3 0x10. */
  readonly reserved?: number;
  readonly masked?: boolean;
}

/** The first bytes of a frame, with the shortest form of its length. */
export function head(opcode: number, length: number, parts: FrameParts = {}): Uint8Array<ArrayBuffer> {
  const { final = true, reserved = 0, masked = false } = parts;
  const size = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const short = size === 0 ? length : size === 2 ? 126 : 127;
  const extended = Array.from({ length: size }, (_, at) => Math.floor(length / 256 ** (size - 1 - at)) % 256);
  return new Uint8Array([(final ? 0x80 : 0) | reserved | opcode, (masked ? 0x80 : 0) | short, ...extended]);
}

/** A whole frame. Each character of a text payload is a byte. */
export function frame(opcode: number, payload: string | Uint8Array = "", parts: FrameParts = {}): Uint8Array {
  const bytes = typeof payload === "string" ? toBytes(payload) : payload;
  const mask = new Uint8Array(parts.masked ? 4 : 0);
  return concat([head(opcode, bytes.length, parts), mask, bytes]);
}

/** A close frame with a code. Each character of the reason is a byte. */
export function closeFrame(code: number, reason = ""): Uint8Array {
  return frame(8, String.fromCharCode(code >> 8, code & 255) + reason);
}

/** Decodes pieces, one after the other, up to the first error. */
export function decode(pieces: Iterable<Uint8Array>): Told[] {
  const told: Told[] = [];
  const decoder = new FrameDecoder({
    message: (data) => told.push(typeof data === "string" ? { text: data } : { binary: data }),
    ping: (payload) => told.push({ ping: payload }),
    close: (close, reason) => told.push({ close, reason }),
  });
  try {
    for (const piece of pieces) decoder.decode(piece);
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    told.push({ refused: error.code });
  }
  return told;
}

/** Bytes one by one. */
export function singly(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

/** Bytes, cut into pieces at these places. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const all = [0, ...places, bytes.length];
  return all.slice(1).map((place, at) => bytes.subarray(all[at], place));
}

/** Every way in which bytes may arrive: whole, one by one, and in two pieces. */
export function* arrivals(bytes: Uint8Array): Iterable<Uint8Array[]> {
  yield [bytes];
  yield singly(bytes);
  for (let place = 0; place <= bytes.length; place++) yield cut(bytes, [place]);
}
