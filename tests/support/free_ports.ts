/**
 * The first of some ports in a row of the loopback address where nobody listens. They are below those that the system
 * hands out itself. So no listener of a test or of the program gets one of them by chance: a proxy that is sent to its
 * own port would send a request to itself for ever.
 */
export function freePorts(count: number): number {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 10_000);
    try {
      for (let port = first; port < first + count; port++) Deno.listen({ hostname: "127.0.0.1", port }).close();
      return first;
    } catch {
      // One of them is in use.
    }
  }
}

/** The URL of a port of the loopback address where nobody listens. */
export function deafUrl(): string {
  return `http://127.0.0.1:${freePorts(1)}`;
}
