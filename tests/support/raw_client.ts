import { closeQuietly, HttpMessage, HttpReader, writeAll } from "./http_message.ts";

/** A client that sends exactly the bytes it is told to. */
export class RawClient implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly reader: HttpReader;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.reader = new HttpReader(connection);
  }

  /** Connects to a port of this machine. */
  static async connect(port: number, hostname = "127.0.0.1"): Promise<RawClient> {
    const connection = await Deno.connect({ hostname, port });
    connection.setNoDelay(true);
    return new RawClient(connection);
  }

  /** The client's own port. */
  get port(): number {
    return this.#connection.localAddr.port;
  }

  /** Sends; `false` where the other side has closed. */
  send(data: string | Uint8Array): Promise<boolean> {
    return writeAll(this.#connection, data);
  }

  /** Sends a request and reads the answer with its body. */
  async ask(request: string, body?: Uint8Array): Promise<HttpMessage> {
    await this.send(request);
    if (body !== undefined) await this.send(body);
    return await this.answer(request.slice(0, request.indexOf(" ")));
  }

  /** Reads an answer with its body. @param method Of the request. */
  async answer(method = "GET"): Promise<HttpMessage> {
    const answer = await this.reader.response(method);
    if (answer === undefined) throw new Error("Cannot read an answer: the connection was closed");
    return answer;
  }

  /** Sends nothing more, but goes on reading. */
  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** Goes away. */
  [Symbol.dispose](): void {
    closeQuietly(this.#connection);
  }
}

/** A request as text: `GET /` to `app.localhost`, unless told otherwise. */
export function requestText(
  line = "GET /",
  headers: readonly string[] = [],
  body = "",
  host = "host: app.localhost",
): string {
  return [`${line} HTTP/1.1`, host, ...headers].filter(Boolean).join("\r\n") + `\r\n\r\n${body}`;
}
