import { headEnd, parseHead } from "../../http/exact/message_head.ts";
import { EngineError } from "../engine_error.ts";

const MAX_HEAD_BYTES = 64 * 1024;
const encoder = new TextEncoder();

/** A connection that the engine has handed over to a command in a container. */
export interface Hijacked {
  readonly connection: Deno.UnixConn;
  /** What has come with the engine's answer. */
  readonly begun: Uint8Array;
}

/** The engine's answer if it does not hand the connection over. */
export interface Refused {
  readonly status: number;
  readonly body: string;
}

/**
 * Asks the engine to hand over the connection of a request, as `fetch` cannot:
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Exec/operation/ExecStart
 *
 * @param path The engine's socket.
 * @param signal Closes the connection, until the engine has answered.
 * @throws {EngineError} If the answer is not HTTP.
 */
export async function hijack(
  path: string,
  target: string,
  body: unknown,
  signal: AbortSignal,
): Promise<Hijacked | Refused> {
  const connection = await Deno.connect({ transport: "unix", path });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  let isHandedOver = false;
  try {
    signal.throwIfAborted();
    await writeAll(connection, requestBytes(target, body));
    const answer = await readAnswer(connection);
    if ("body" in answer) return answer;
    isHandedOver = true;
    return answer;
  } finally {
    signal.removeEventListener("abort", close);
    if (!isHandedOver && !signal.aborted) close();
  }
}

/** Writes all bytes. */
export async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}

function requestBytes(target: string, body: unknown): Uint8Array {
  const content = encoder.encode(JSON.stringify(body));
  const head = [
    `POST ${target} HTTP/1.1`,
    "host: docker",
    "content-type: application/json",
    `content-length: ${content.length}`,
    "connection: Upgrade",
    "upgrade: tcp",
  ];
  return new Uint8Array([...encoder.encode(head.join("\r\n") + "\r\n\r\n"), ...content]);
}

async function readAnswer(connection: Deno.UnixConn): Promise<Hijacked | Refused> {
  const bytes = new Uint8Array(MAX_HEAD_BYTES);
  let filled = 0;
  let end = -1;
  const readMore = async () => {
    const count = filled === bytes.length ? null : await connection.read(bytes.subarray(filled));
    if (count === null) throw new EngineError("away", "the engine has broken off its answer");
    filled += count;
  };
  for (let looked = 0; end === -1; looked = Math.max(0, filled - 1)) {
    await readMore();
    end = headEnd(bytes, looked, filled);
  }
  const { framing, status } = parseHead(new TextDecoder("latin1").decode(bytes.subarray(0, end)), "POST");
  if (status === 101 || status === 200) return { connection, begun: bytes.slice(end, filled) };
  // The engine gives the length of its errors.
  while (typeof framing === "number" && filled < end + framing) await readMore();
  return { status, body: new TextDecoder().decode(bytes.subarray(end, filled)) };
}
