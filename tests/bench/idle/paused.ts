import { checkAnswer } from "../support/app.ts";
import type { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";

/** After so long without a request cless pauses them itself. */
const PAUSE_AFTER = "2s";
/** So many are started at once. */
const AT_ONCE = 4;
/** How long cless may take until the last one is paused, ms. */
const PATIENCE_MS = 60_000;
const PERIOD_MS = 200;

/**
 * Declares services and sends one request to each; returns when cless has paused them all.
 *
 * @param first The number of the first one.
 * @throws {BenchError} When one does not start, or cless does not pause them.
 */
export async function pauseServices(
  cless: ClessUnderTest,
  image: string,
  { first, count }: { first: number; count: number },
  signal: AbortSignal,
): Promise<void> {
  const names = Array.from({ length: count }, (_, at) => `idle-${first + at}`);
  using client = new HttpClient();
  const start = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      signal.throwIfAborted();
      await cless.declare(name, { image, pauseAfter: PAUSE_AFTER, stopAfter: "0" });
      checkAnswer(await client.ask(cless.url, { host: `${name}.localhost` }), name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, start));
  const wanted = first + count;
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    signal.throwIfAborted();
    const states = (await cless.instances()).map(({ state }) => state);
    if (states.length !== wanted) throw new BenchError(`there are ${states.length} instances, and not ${wanted}`);
    const paused = states.filter((state) => state === "paused").length;
    if (paused === wanted) return;
    if (performance.now() > end) throw new BenchError(`${paused} of ${wanted} instances are paused after a minute`);
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}
