const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** A request that an {@linkcode ExecEngineSocket} has got. */
export interface EngineRequest {
  /** Such as `POST /exec/1/start`. */
  readonly line: string;
  readonly headers: string;
  readonly body: unknown;
}

/** Answers a request, in whatever way: it may keep the connection. */
export type Answering = (connection: Deno.UnixConn, request: EngineRequest) => Promise<void> | void;

/** An engine that hands connections over, on a unix socket of its own. Each connection is for one request. */
export class ExecEngineSocket implements AsyncDisposable {
  readonly path: string;
  readonly requests: EngineRequest[] = [];
  readonly #folder: string;
  readonly #listener: Deno.UnixListener;
  readonly #answers: Readonly<Record<string, Answering>>;
  readonly #serving: Promise<void>;
  readonly #open = new Set<Deno.UnixConn>();

  private constructor(folder: string, answers: Readonly<Record<string, Answering>>) {
    this.#folder = folder;
    this.#answers = answers;
    this.path = `${folder}/engine.sock`;
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#serving = this.#serve();
  }

  /** @param answers By the request's line. */
  static async start(answers: Readonly<Record<string, Answering>>): Promise<ExecEngineSocket> {
    return new ExecEngineSocket(await Deno.makeTempDir({ prefix: "exec-engine-" }), answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) closeOnce(connection);
    await this.#serving;
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #serve(): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for (;;) all.push(this.#handle(await this.#listener.accept()).catch(() => {}));
    } catch {
      // It has been closed.
    }
    await Promise.all(all);
  }

  async #handle(connection: Deno.UnixConn): Promise<void> {
    this.#open.add(connection);
    let text = "";
    const room = new Uint8Array(4096);
    for (;;) {
      const [head, body = ""] = text.split("\r\n\r\n");
      if (text.includes("\r\n\r\n") && body.length >= Number(/content-length: (\d+)/i.exec(head!)?.[1] ?? 0)) {
        const line = head!.split(" HTTP/")[0]!.replace(/http:\/\/[^/]*/, ""); // as to a proxy
        const request = { line, headers: head!, body: body === "" ? undefined : JSON.parse(body) };
        this.requests.push(request);
        await (this.#answers[line] ?? json(404, { message: "not found" }))(connection, request);
        break;
      }
      const count = await connection.read(room);
      if (count === null) break;
      text += decoder.decode(room.subarray(0, count));
    }
    this.#open.delete(connection);
    closeOnce(connection);
  }
}

/** Answers with JSON. */
export function json(status: number, body: unknown): Answering {
  const text = JSON.stringify(body);
  return async (connection) => {
    await writeAll(
      connection,
      `HTTP/1.1 ${status} Said\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
  };
}

/** Hands the connection over. */
export function handOver(act: (connection: Deno.UnixConn) => Promise<void>): Answering {
  return async (connection) => {
    await writeAll(connection, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    await act(connection);
  };
}

/** A frame of a command's output, as the engine writes it. */
export function frame(stream: 1 | 2, content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const framed = new Uint8Array(8 + bytes.length);
  framed[0] = stream;
  new DataView(framed.buffer).setUint32(4, bytes.length);
  framed.set(bytes, 8);
  return framed;
}

export async function writeAll(connection: Deno.UnixConn, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}

function closeOnce(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
