/** The first of some ports in a row that are free now. */
export function freePorts(count: number): number {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 10_000); // below those that the system hands out itself
    try {
      for (let port = first; port < first + count; port++) Deno.listen({ hostname: "127.0.0.1", port }).close();
      return first;
    } catch {
      // One of them is in use.
    }
  }
}
