import type { Clock } from "../../base/clock.ts";
import type { Config } from "../../base/config.ts";
import { OperatorError } from "../../base/errors.ts";
import type { DataDir } from "../../control/data_dir.ts";
import type { EngineApi } from "../engine_api.ts";
import { childHelper, FreezerHelper, socketHelper } from "./helper.ts";

/** The helper that freezes containers. */
export interface HelperPlace {
  /** Where it is; `undefined` if there is none. */
  readonly via: "child" | "socket" | undefined;
  /** Why it freezes no containers; missing if it does. */
  readonly whyNot?: string;
}

/** The settings for the choice. */
export type HelperConfig = Pick<Config, "freezer" | "freezerSocket">;

/**
 * Chooses what writes the files of control groups: a child process if cless runs as root, else the helper behind the
 * socket.
 *
 * @throws {OperatorError} When control groups are demanded, and neither is possible.
 */
export function findHelper({ freezer, freezerSocket }: HelperConfig): HelperPlace {
  const via = Deno.uid() === 0 ? "child" : isSocket(freezerSocket) ? "socket" : undefined;
  // An earlier process may have frozen containers, which have to be thawed.
  if (freezer === "docker") return { via, whyNot: "--freezer docker is set" };
  if (via !== undefined) return { via };
  const whyNot = `cless does not run as root, and ${freezerSocket} is not a socket`;
  if (freezer === "auto") return { via, whyNot };
  throw new OperatorError(`--freezer cgroup is not possible: ${whyNot}; run cless with sudo, or install the helper`);
}

/** Makes the helper that {@linkcode findHelper} has chosen. It starts when it is needed. */
export function makeHelper(
  { via }: HelperPlace,
  { freezerSocket }: HelperConfig,
  { path }: Pick<DataDir, "path">,
  api: Pick<EngineApi, "info">,
  clock: Clock,
): FreezerHelper | undefined {
  if (via === undefined) return undefined;
  if (via === "socket") return new FreezerHelper(() => socketHelper(freezerSocket), clock);
  let engineFolder: Promise<string> | undefined;
  return new FreezerHelper(async () => {
    engineFolder ??= api.info().then(({ dataFolder }) => dataFolder);
    engineFolder.catch(() => engineFolder = undefined);
    return childHelper(`${path}/owner`, await engineFolder);
  }, clock);
}

function isSocket(path: string): boolean {
  try {
    return Deno.statSync(path).isSocket === true;
  } catch {
    return false;
  }
}
