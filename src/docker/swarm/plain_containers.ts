import { messageOf, OperatorError } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { LABEL } from "../container_spec.ts";
import type { EngineApi } from "../engine_api.ts";
import type { Freezer } from "../freezer/freezer.ts";
import { STOP_GRACE_S } from "../own_containers.ts";
import { type EngineCaller, parseAnswer, queryJson } from "../socket_client.ts";
import { SERVICE_LABEL } from "./task_engine.ts";

const log = logger("swarm");

/** What `GET /containers/json` says of a container. */
interface PlainContainer {
  readonly Id: string;
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Mounts?: readonly { readonly Type: string }[] | null;
}

/**
 * Ends and removes the containers that a cless without a Swarm has left on this machine for the same owner: it was
 * killed, or had `--on-exit keep`. Their apps get the usual time to end by themselves, since databases may be among them.
 *
 * @param freezer Thaws those that are frozen without the engine's knowledge, so that they can take the signal to end.
 * @throws {OperatorError} If one with a volume runs on: an instance of the Swarm would use the same volume beside it.
 * @throws {EngineError} If the engine does not tell which there are.
 */
export async function endPlainContainers(
  { api, caller, freezer, owner }: {
    readonly api: Pick<EngineApi, "remove" | "stop">;
    readonly caller: Pick<EngineCaller, "ask">;
    readonly freezer: Pick<Freezer, "forget" | "found" | "thaw">;
    readonly owner: string;
  },
): Promise<void> {
  const containers = await plainContainers(caller, owner);
  if (containers.length === 0) return;
  const running = containers.filter(({ State }) => State === "running");
  await freezer.found(new Map(running.map(({ Id }) => [Id, Id])))
    .catch((error) => log.debug("cannot tell which containers are frozen", { reason: messageOf(error) }));
  const failures = new Map<string, string>();
  await Promise.all(containers.map(async ({ Id }) => {
    await freezer.thaw(Id);
    // If it cannot be stopped, it is removed all the same.
    await api.stop(Id, STOP_GRACE_S).catch((error) => failures.set(Id, messageOf(error)));
    await api.remove(Id).catch((error) => failures.set(Id, messageOf(error)));
    freezer.forget(Id);
  }));
  for (const { Id, Labels, Mounts, State } of await plainContainers(caller, owner)) {
    const [service, reason] = [Labels[LABEL.service] ?? "", failures.get(Id)];
    const isRunning = State === "running" || State === "paused" || State === "restarting";
    if (isRunning && Mounts?.some(({ Type }) => Type !== "tmpfs")) {
      throw new OperatorError(
        `a container of the service ${service} from before --engine swarm has a volume and does not end` +
          `${reason === undefined ? "" : ` (${reason})`}; remove it with docker rm --force ${Id.slice(0, 12)}, then ` +
          "start cless again",
      );
    }
    log.warning("a container from before --engine swarm is left", { service, container: Id.slice(0, 12), reason });
  }
}

async function plainContainers(caller: Pick<EngineCaller, "ask">, owner: string): Promise<PlainContainer[]> {
  const path = `/containers/json?all=true&filters=${queryJson({ label: [`${LABEL.owner}=${owner}`] })}`;
  const listed = parseAnswer<PlainContainer[]>(path, await caller.ask("GET", path));
  return listed.filter(({ Labels }) => Labels[SERVICE_LABEL] === undefined);
}
