import type { Cluster } from "../../swarm/cluster.ts";
import type { Bench } from "../scenario.ts";
import { envOf, nameOf } from "../growth/declared.ts";
import { BenchError } from "../support/errors.ts";

/** So many are declared at the same time. */
const AT_ONCE = 8;
/** What one cless has written and another one has not read after this time it never will. */
const PATIENCE_MS = 30_000;

/**
 * Declares services by the cless of one node, without trying them. Resolves when that of another node has the last one.
 *
 * @param by The number of the node whose cless is told. @param seenBy That of the other one.
 * @returns How long one took, ms.
 * @throws {BenchError} When one is refused.
 */
export async function declareMany(
  cluster: Cluster,
  { by, count, seenBy }: { readonly by: number; readonly count: number; readonly seenBy: number },
  { app, signal }: Pick<Bench, "app" | "signal">,
): Promise<number> {
  const began = performance.now();
  const numbers = Array.from({ length: count }, (_, number) => number);
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
      signal.throwIfAborted();
      const name = nameOf(number);
      const template = { image: app.image, domains: [`${name}.example.com`], env: envOf(name) };
      const { status, text } = await cluster.cless(by).send("PUT", `/v1/services/${name}?wait=false`, template);
      if (status !== 201) throw new BenchError(`cannot declare ${name}: status ${status}, ${text}`);
    }
  }));
  const eachMs = (performance.now() - began) / count;
  const end = performance.now() + PATIENCE_MS;
  const last = `/v1/services/${nameOf(count - 1)}`;
  while ((await cluster.cless(seenBy).send("GET", last)).status !== 200) {
    if (performance.now() > end) throw new BenchError(`node ${seenBy} does not get what node ${by} declares`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return eachMs;
}
