/** How long something may take, ms: what ought to happen at once must not fail where the machine is busy. */
const PATIENCE_MS = 60_000;

/** Resolves as soon as something is so; fails when it does not become so. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`It never came to this: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Lets what is under way on this machine's sockets arrive: so many turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}
