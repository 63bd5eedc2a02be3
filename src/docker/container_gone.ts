import { messageOf } from "../base/errors.ts";
import { ContainerGone } from "../pool/launcher.ts";
import { DockerError } from "./command.ts";

/** An error of a command as {@linkcode ContainerGone}, where that is what it means. */
export function goneError(error: unknown): unknown {
  const isGone = error instanceof DockerError && /no such container/i.test(messageOf(error));
  return isGone ? new ContainerGone(messageOf(error), { cause: error }) : error;
}
