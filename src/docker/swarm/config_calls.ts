import { kindOf } from "../engine_error.ts";
import type { SwarmApi, SwarmConfig } from "./swarm_api.ts";

/** A config needs data, which never changes: this is that of one whose labels have all. */
export const NO_DATA: Uint8Array = new TextEncoder().encode("cless");

/** A config by its name; `undefined` if there is none. @throws {EngineError} */
export async function findConfig(api: Pick<SwarmApi, "config">, name: string): Promise<SwarmConfig | undefined> {
  return await unless(["gone"], () => api.config(name));
}

/** Makes a config. Resolves with false if there is one of that name. @throws {EngineError} */
export async function makeConfig(
  api: Pick<SwarmApi, "createConfig">,
  name: string,
  labels: SwarmConfig["labels"],
  data: Uint8Array = NO_DATA,
): Promise<boolean> {
  return await unless(["conflict"], () => api.createConfig(name, labels, data)) !== undefined;
}

/** Replaces a config's labels. Resolves with false if it was changed since it was read, or is gone. @throws {EngineError} */
export async function replaceLabels(
  api: Pick<SwarmApi, "setConfigLabels">,
  config: SwarmConfig,
  labels: SwarmConfig["labels"],
): Promise<boolean> {
  const done = await unless(["stale", "gone"], async () => {
    await api.setConfigLabels(config, labels);
    return true;
  });
  return done ?? false;
}

/** Asks a Swarm. Resolves with `undefined` if it refuses for one of the expected reasons. @throws {EngineError} */
async function unless<T>(
  expected: readonly ("gone" | "conflict" | "stale")[],
  ask: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const kind = kindOf(error);
    if (expected.some((one) => one === kind)) return undefined;
    throw error;
  }
}
