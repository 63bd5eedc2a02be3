/** The exit code of a program that Ctrl-C has ended. */
export const INTERRUPTED = 130;

/**
 * Does something that Ctrl-C ends without a word.
 *
 * @param run Gets a signal that is aborted then.
 * @returns What it comes to, or {@linkcode INTERRUPTED}.
 */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const aborter = new AbortController();
  const interrupt = () => aborter.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await run(aborter.signal);
  } catch (error) {
    if (aborter.signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    aborter.abort(); // what is still open is of no use any more
  }
}
