/** The kinds of frames: RFC 6455, section 5.2. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Why a WebSocket is closed: RFC 6455, section 7.4.1. */
export const CloseCode = {
  protocolError: 1002,
  /** Stands for a close frame that has none; never sent. */
  none: 1005,
  /** Stands for a connection that broke; never sent. */
  broken: 1006,
  notText: 1007,
  tooBig: 1009,
  unexpected: 1011,
} as const;

/** A whole message as one frame, masked as a client must: RFC 6455, section 5.3. */
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

/** What a close frame holds. */
export function closePayload(code: number, reason: string): Uint8Array {
  if (code === CloseCode.none) return new Uint8Array(0);
  return new Uint8Array([code >> 8, code & 255, ...new TextEncoder().encode(reason)]);
}
