import { ClessError } from "../base/errors.ts";
import type { InstancePool } from "./instance_pool.ts";
import type { Starter } from "./starter.ts";

/**
 * Waits for an instance of a pool, and asks nothing of it.
 *
 * @throws {ClessError} With why there is none, and with what its app has written; the signal's reason before all.
 */
export async function tryStart(
  pool: InstancePool,
  starter: Pick<Starter, "outputOf">,
  signal: AbortSignal,
): Promise<void> {
  try {
    (await pool.hold(signal)).lease.release();
  } catch (error) {
    if (!(error instanceof ClessError) || signal.aborted) throw error;
    const { code, detail, message } = error;
    throw new ClessError(code, message, {
      detail: detail ?? message,
      output: await starter.outputOf(error),
      cause: error,
    });
  }
}
