import type { TerminalSize } from "./process.ts";

/*
 * The messages of an exec session, in both directions: binary messages of a WebSocket, each a byte with its kind and
 * then its content. The admin API sends `stdout`, `stderr`, `taken`, `started` and `exit`, and its client `stdin`,
 * `taken` and `resize`.
 */

/** The kinds of messages. */
export const KIND = {
  /** Bytes for the command's standard input; none for its end. */
  stdin: 0,
  /** Bytes of its output. */
  stdout: 1,
  stderr: 2,
  /** JSON: the command runs. */
  started: 3,
  /** JSON: the session is over. */
  exit: 4,
  /** How many more bytes the sender has taken: of the standard input, or of both outputs together. */
  taken: 5,
  /** The columns and rows of the terminal, 16 bits each. */
  resize: 6,
} as const;

/**
 * At most this many bytes of data may be on their way in one direction. The sender stops there, and goes on once the
 * receiver has said that it has taken some. So neither side has to hold more.
 */
export const WINDOW_BYTES = 1024 * 1024;
/** No message has more content than this. */
export const MAX_PIECE_BYTES = 64 * 1024;

/** A message with bytes. They are copied. */
export function bytesMessage(kind: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(1 + bytes.length);
  message[0] = kind;
  message.set(bytes, 1);
  return message;
}

export function jsonMessage(kind: number, content: unknown): Uint8Array<ArrayBuffer> {
  return bytesMessage(kind, new TextEncoder().encode(JSON.stringify(content)));
}

export function takenMessage(bytes: number): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(5);
  message[0] = KIND.taken;
  new DataView(message.buffer).setUint32(1, bytes);
  return message;
}

export function resizeMessage({ columns, rows }: TerminalSize): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(5);
  message[0] = KIND.resize;
  const view = new DataView(message.buffer);
  view.setUint16(1, columns);
  view.setUint16(3, rows);
  return message;
}

/** The content of a `taken` message; `undefined` if it is none. */
export function readTaken(content: Uint8Array): number | undefined {
  return content.length === 4 ? viewOf(content).getUint32(0) : undefined;
}

/** The content of a `resize` message; `undefined` if it is none. */
export function readSize(content: Uint8Array): TerminalSize | undefined {
  if (content.length !== 4) return undefined;
  const view = viewOf(content);
  const size = { columns: view.getUint16(0), rows: view.getUint16(2) };
  return size.columns > 0 && size.rows > 0 ? size : undefined;
}

function viewOf({ buffer, byteLength, byteOffset }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** A piece of data cut into pieces that fit in a message; none for no data. */
export function* cut(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += MAX_PIECE_BYTES) yield bytes.subarray(at, at + MAX_PIECE_BYTES);
}
