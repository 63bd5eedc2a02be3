import { BenchError } from "./errors.ts";

const PATH = "/tmp/cless-bench.lock";

/**
 * Takes the machine for this bench, until it is disposed of or the process ends. A second one would not only take away
 * CPU: it would build the app's image anew, and every cless would replace the container that all proxies send to.
 *
 * @throws {BenchError} When another one runs.
 */
export async function lockMachine(): Promise<Disposable> {
  // Without `create` where it is there: in /tmp nobody may open another user's file so.
  const file = await Deno.open(PATH).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return Deno.open(PATH, { create: true, read: true, write: true, mode: 0o644 });
  });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new BenchError("another bench runs on this machine; wait until it has ended");
}
