/** A line between clients and a server that a test can cut, and lay to another server. */
export class Relay implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ends = new Set<Deno.Conn>();
  #target: number;

  /** @param target The server's port. */
  constructor(target: number) {
    this.#target = target;
    this.#run();
  }

  /** Where clients reach it. */
  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Breaks off all connections; whoever comes from now on gets to another server. */
  turn(target: number): void {
    this.#target = target;
    this.#cut();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.#cut();
  }

  async #run(): Promise<void> {
    for await (const client of this.#listener) this.#join(client).catch(() => client.close());
  }

  async #join(client: Deno.Conn): Promise<void> {
    this.#ends.add(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    this.#ends.add(server);
    const ways = [client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)];
    await Promise.allSettled(ways);
    this.#ends.delete(client);
    this.#ends.delete(server);
  }

  #cut(): void {
    for (const end of this.#ends) {
      try {
        end.close();
      } catch {
        // It has been closed already.
      }
    }
    this.#ends.clear();
  }
}
