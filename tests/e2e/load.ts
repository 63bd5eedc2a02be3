import type { Program } from "../support/program.ts";

/** Requests that go on until they are told to stop, and what became of them. */
export class Load {
  readonly failures: string[] = [];
  /** How many requests each answer was given to, by the app's own words. */
  readonly answers = new Map<string, number>();
  requests = 0;
  /** How long the slowest answer took, ms. */
  slowest = 0;
  #stopping = false;
  readonly #workers: Promise<void>[] = [];

  /** Ends it, and resolves when all is answered. */
  stop(): Promise<void[]> {
    this.#stopping = true;
    return Promise.all(this.#workers);
  }

  /**
   * Asks a service again and again.
   *
   * @param fresh Whether each request comes over a connection of its own.
   */
  begin(program: Program, label: string, fresh: boolean): void {
    const { hostname, port } = program.proxy;
    this.#workers.push((async () => {
      using client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: fresh ? 0 : 1 });
      while (!this.#stopping) {
        this.requests++;
        const began = performance.now();
        try {
          const headers = { host: `${label}.localhost`, ...(fresh ? { connection: "close" } : {}) };
          const response = await fetch(`http://${hostname}:${port}/`, { client, headers });
          const text = await response.text();
          if (response.status !== 200) this.failures.push(`${response.status} ${text}`);
          else this.answers.set(text, (this.answers.get(text) ?? 0) + 1);
        } catch (error) {
          this.failures.push(String(error));
        }
        this.slowest = Math.max(this.slowest, performance.now() - began);
      }
    })());
  }

  /** Sends over one WebSocket and waits for each echo, until it is told to stop. */
  beginWebSocket(program: Program): void {
    const socket = new WebSocket(`ws://localhost:${program.proxy.port}/`); // it takes no other Host
    const ended = Promise.withResolvers<void>();
    let awaited = 0;
    const next = () => {
      if (this.#stopping) return socket.close(1000);
      this.requests++;
      socket.send(String(++awaited));
    };
    socket.onopen = next;
    socket.onmessage = ({ data }) => {
      if (data !== String(awaited)) this.failures.push(`the WebSocket echoed ${data} and not ${awaited}`);
      setTimeout(next, 1);
    };
    socket.onerror = (event) => this.failures.push(`the WebSocket failed: ${(event as ErrorEvent).message}`);
    socket.onclose = ({ code }) => {
      if (!this.#stopping) this.failures.push(`the WebSocket was closed with ${code}`);
      ended.resolve();
    };
    this.#workers.push(ended.promise);
  }
}
