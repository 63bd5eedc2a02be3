/**
 * An address where connecting takes for ever, as that of a host which has lost its power: a listener that accepts
 * nothing and has no room for one more.
 */
export class SilentHost {
  readonly #listener: Deno.TcpListener;
  readonly #room: readonly Deno.TcpConn[];

  private constructor(listener: Deno.TcpListener, room: readonly Deno.TcpConn[]) {
    this.#listener = listener;
    this.#room = room;
  }

  static async start(): Promise<SilentHost> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const { port } = listener.addr;
    const room: Deno.TcpConn[] = [];
    for (;;) {
      const signal = AbortSignal.timeout(200); // on the loopback address, who has room answers at once
      try {
        room.push(await Deno.connect({ hostname: "127.0.0.1", port, signal }));
      } catch {
        return new SilentHost(listener, room);
      }
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  close(): void {
    for (const connection of this.#room) connection.close();
    this.#listener.close();
  }
}
