import { messageOf } from "../base/errors.ts";
import { EngineAway } from "../pool/launcher.ts";
import { DockerError } from "./command.ts";

/** What the docker command, and the engine itself, say where the engine or a part of it is away. */
const SAID = /cannot connect to the docker daemon|error during connect|unexpected EOF|\bEOF$|error while dialing/i;

/** An error of a command as {@linkcode EngineAway}, where that is what it means. */
export function awayError(error: unknown): unknown {
  const isAway = error instanceof DockerError && SAID.test(messageOf(error));
  return isAway ? new EngineAway(messageOf(error), { cause: error }) : error;
}
