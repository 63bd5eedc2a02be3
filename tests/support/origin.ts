import { closeQuietly, type HttpMessage, HttpReader, writeAll } from "./http_message.ts";

/** An answer with a short body. */
export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** One connection to an origin. */
export class OriginConnection {
  readonly #connection: Deno.TcpConn;
  readonly reader: HttpReader;
  /** How many came before it. */
  readonly number: number;

  constructor(connection: Deno.TcpConn, number: number) {
    this.#connection = connection;
    this.reader = new HttpReader(connection);
    this.number = number;
  }

  /** Sends; `false` where the other side has closed. */
  send(data: string | Uint8Array): Promise<boolean> {
    return writeAll(this.#connection, data);
  }

  /** Resolves when the other side has closed, whatever it sends before. */
  async ended(): Promise<void> {
    while ((await this.reader.some()).length > 0);
  }

  close(): void {
    closeQuietly(this.#connection);
  }
}

/** An app that is nothing but a socket: it answers exactly the bytes it is told to, and records what it was sent. */
export class Origin implements AsyncDisposable {
  /** What was asked, in order; only what {@linkcode Origin.answering} reads. */
  readonly requests: HttpMessage[] = [];
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<OriginConnection>();
  readonly #expected: { count: number; resolve: () => void }[] = [];
  #connections = 0;
  readonly #running = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  private constructor(listener: Deno.TcpListener, serve: (connection: OriginConnection) => Promise<unknown>) {
    this.#listener = listener;
    this.#accepting = this.#accept(serve);
  }

  /** Serves each connection by a function; the connection is closed when that has resolved. */
  static serving(serve: (connection: OriginConnection) => Promise<unknown>, port = 0): Origin {
    return new Origin(Deno.listen({ hostname: "127.0.0.1", port }), serve);
  }

  /**
   * Gives every request the same answer, or the one that a function makes of it, on connections that stay open. A HEAD
   * gets only the head of it.
   */
  static answering(answer: string | ((request: HttpMessage) => string | Uint8Array) = OK, port = 0): Origin {
    const origin: Origin = Origin.serving(async (connection) => {
      for (;;) {
        const request = await connection.reader.request();
        if (request === undefined) return;
        origin.requests.push(request);
        const whole = typeof answer === "string" ? answer : answer(request);
        const isHead = typeof whole === "string" && request.startLine.startsWith("HEAD ");
        if (!await connection.send(isHead ? whole.slice(0, whole.indexOf("\r\n\r\n") + 4) : whole)) return;
      }
    }, port);
    return origin;
  }

  /** Such as `http://127.0.0.1:1234`. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections;
  }

  /** Resolves when there have been so many connections. */
  connected(count: number): Promise<void> {
    if (this.#connections >= count) return Promise.resolve();
    return new Promise((resolve) => this.#expected.push({ count, resolve }));
  }

  /** The request that came last. */
  get last(): HttpMessage {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error("No request has reached the origin");
    return last;
  }

  /** Closes the listener and every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    closeQuietly(this.#listener);
    for (const connection of this.#open) connection.close();
    await Promise.all([this.#accepting, ...this.#running]);
  }

  async #accept(serve: (connection: OriginConnection) => Promise<unknown>): Promise<void> {
    for (;;) {
      const accepted = await this.#listener.accept().catch(() => undefined);
      if (accepted === undefined) return;
      accepted.setNoDelay(true);
      const connection = new OriginConnection(accepted, this.#connections++);
      this.#open.add(connection);
      for (const { count, resolve } of this.#expected) if (count <= this.#connections) resolve();
      const done = serve(connection).then(() => connection.close()).finally(() => {
        this.#open.delete(connection);
        this.#running.delete(done);
      });
      this.#running.add(done);
    }
  }
}
