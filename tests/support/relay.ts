/** A line between clients and a server that a test can cut, and lay to another server. */
export class Relay implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ends = new Set<Deno.Conn>();
  readonly #never = Promise.withResolvers<never>();
  #target: number;
  #isHanging = false;

  /** @param target The server's port. */
  constructor(target: number) {
    this.#target = target;
    this.#never.promise.catch(() => {}); // also if nothing hangs
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

  /**
   * Lets nothing pass any more, as a network does that drops everything. After the end of this, those who come get
   * through; connections on which something was held back stay as they are.
   */
  hang(isHanging: boolean): void {
    this.#isHanging = isHanging;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.#never.reject(new Error("the line is gone"));
    this.#cut();
  }

  async #run(): Promise<void> {
    for await (const client of this.#listener) this.#join(client).catch(() => client.close());
  }

  async #join(client: Deno.Conn): Promise<void> {
    this.#ends.add(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    this.#ends.add(server);
    let isDead = false;
    const pass = () =>
      new TransformStream<Uint8Array, Uint8Array>({
        transform: async (piece, controller) => {
          isDead ||= this.#isHanging;
          if (isDead) await this.#never.promise;
          controller.enqueue(piece);
        },
      });
    const ways = [
      client.readable.pipeThrough(pass()).pipeTo(server.writable),
      server.readable.pipeThrough(pass()).pipeTo(client.writable),
    ];
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
