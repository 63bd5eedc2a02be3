const given = new Set<number>();

/**
 * The first of some ports in a row of the loopback address where nobody listens. They are below those that the system
 * hands out itself. So no listener of a test or of the program gets one of them by chance: a proxy that is sent to its
 * own port would send a request to itself for ever. None is given twice: the first one who asked may not listen yet.
 */
export function freePorts(count: number): number {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 10_000);
    const ports = Array.from({ length: count }, (_, at) => first + at);
    if (ports.some((port) => given.has(port))) continue;
    try {
      for (const port of ports) Deno.listen({ hostname: "127.0.0.1", port }).close();
      ports.forEach((port) => given.add(port));
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
