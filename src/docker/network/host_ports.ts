import { Sequence } from "./addresses.ts";

/** The host's ports for published containers: in sequence, and none that another program has. */
export class HostPorts {
  readonly #sequence: Sequence;

  constructor(range: { first: number; last: number }) {
    this.#sequence = new Sequence(range.first, range.last);
  }

  /**
   * The next port that is free.
   *
   * @throws {RangeError} When there is none.
   */
  take(): number {
    const busy: number[] = [];
    try {
      for (;;) {
        const port = this.#sequence.take();
        if (isFree(port)) return port;
        busy.push(port);
      }
    } catch {
      throw new RangeError("every port of the range is in use; give cless another one with --port-range");
    } finally {
      for (const port of busy) this.#sequence.free(port);
    }
  }

  /** Notes a port that a container has already. */
  occupy(port: number): void {
    this.#sequence.occupy(port);
  }

  /** Gives a port back. */
  free(port: number): void {
    this.#sequence.free(port);
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
