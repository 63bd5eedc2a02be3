import { messageOf, OperatorError } from "../base/errors.ts";
import type { CommandOptions, DockerCommand } from "./command.ts";

/** An engine that answers. */
export interface Engine {
  readonly version: string;
}

/**
 * Asks the engine for its version.
 *
 * @param options How long it may take, and what ends it.
 * @throws {OperatorError} When none answers; the message says what to do.
 */
export async function findEngine(
  docker: DockerCommand,
  options: Pick<CommandOptions, "timeout" | "signal"> = {},
): Promise<Engine> {
  try {
    const output = await docker.run(["version", "--format={{.Server.Version}}"], options);
    return { version: /^\d+\.\S*$/m.exec(output)?.[0] ?? "unknown" };
  } catch (error) {
    const reason = messageOf(error);
    throw new OperatorError(`no Docker engine answers: ${reason}; ${remedy(reason)}`);
  }
}

function remedy(reason: string): string {
  if (/^there is no command|^cannot run/.test(reason)) {
    return "install Docker (Debian, Ubuntu: apt-get install docker.io), or name the command with --docker";
  }
  if (/permission denied/i.test(reason)) return "run cless with sudo, or add your user to the group docker";
  return "start it (systemctl start docker), or say with DOCKER_HOST where it is";
}
