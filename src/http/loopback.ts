import type { RoundTrip } from "../base/lag.ts";

/** Names a trace that is not recorded: if traces are exported, the messages are then in none, with the usual samplers. */
const TRACEPARENT = `00-${"1".repeat(32)}-${"1".repeat(16)}-00`;
const REQUEST = new TextEncoder().encode(
  `GET / HTTP/1.1\r\nhost: localhost\r\ntraceparent: ${TRACEPARENT}\r\n\r\n`,
);
/** The end of the response's head; the response has no body. */
const HEAD_END = "\r\n\r\n";
const decoder = new TextDecoder();

/** Sends requests from this process to itself, over one connection that it keeps. */
export class Loopback implements RoundTrip, AsyncDisposable {
  readonly #answer = new Response(null, { status: 204 });
  readonly #room = new Uint8Array(1024);
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #connection: Deno.Conn | undefined;
  #closed = false;

  async send(): Promise<void> {
    try {
      const connection = this.#connection ??= await this.#connect();
      await connection.write(REQUEST);
      for (let text = ""; !text.endsWith(HEAD_END);) {
        const count = await connection.read(this.#room);
        if (count === null) throw new Deno.errors.UnexpectedEof();
        text += decoder.decode(this.#room.subarray(0, count));
      }
    } catch (error) {
      this.#connection?.close();
      this.#connection = undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#connection?.close();
    this.#connection = undefined;
    const server = this.#server;
    this.#server = undefined;
    await server?.shutdown().catch(() => {});
  }

  async #connect(): Promise<Deno.Conn> {
    if (this.#closed) throw new Deno.errors.BadResource();
    if (this.#server === undefined) {
      const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => this.#answer);
      this.#server = server;
      // The server ends if there is no file descriptor left. The next call then makes a new one.
      server.finished.catch(() => {
        if (this.#server === server) this.#server = undefined;
      });
    }
    const { hostname, port } = this.#server.addr;
    const connection = await Deno.connect({ hostname, port });
    connection.setNoDelay();
    return connection;
  }
}
