import type { PastOptions } from "../../../src/control/figures/past.ts";
import type { ServiceView } from "../../../src/control/catalog.ts";

/** A catalog of declared services. @param made When each was made, by name; read at each call. */
export function catalogOf(made: Readonly<Record<string, number>>): PastOptions["catalog"] {
  const viewOf = (name: string) => ({ name, convention: false, createdAt: made[name]! }) as ServiceView;
  return {
    after: () => Object.keys(made).sort().map(viewOf),
    get: (name) => Object.hasOwn(made, name) ? viewOf(name) : undefined,
  };
}
