import { portHolder, readProc } from "../base/machine.ts";

/** A program that listens on a port. */
export interface Listener {
  readonly port: number;
  /** Its name and pid, such as `nginx (pid 12)`; `undefined` if unknown. */
  readonly holder?: string;
  readonly pid?: number;
  /** The service of systemd that it belongs to, such as `nginx.service`. */
  readonly unit?: string;
}

/** The program that listens on a port of an address; `undefined` if there is none, or this user may not try. */
export async function listenerOn(port: number, hostname?: string): Promise<Listener | undefined> {
  const addresses = hostname === undefined ? ["0.0.0.0", "::"] : [hostname];
  if (!addresses.some((address) => isTaken(address, port))) return undefined;
  const holder = await portHolder(port);
  const pid = /\(pid (\d+)\)/.exec(holder ?? "")?.[1];
  if (holder === undefined || pid === undefined) return { port };
  const unit = unitIn(await readProc(`/proc/${pid}/cgroup`));
  return { port, holder, pid: Number(pid), ...unit === undefined ? {} : { unit } };
}

/** The first of some ports of 127.0.0.1 where nobody listens. */
export function firstFree(first: number, count: number): number | undefined {
  const ports = Array.from({ length: count }, (_, at) => first + at);
  return ports.find((port) => !isTaken("127.0.0.1", port));
}

function isTaken(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.AddrInUse; // otherwise: no such address, or a port for root alone
  }
}

/** The service of the system in a process's list of control groups: cgroups(7). What a user runs is in none. */
export function unitIn(cgroups: string): string | undefined {
  const unit = /\/([^/\n]+\.service)(?:\/|$)/m.exec(cgroups)?.[1];
  return unit?.startsWith("user@") ? undefined : unit;
}

/** What frees a port. The engine's own program has the ports that containers publish, and cless needs the engine. */
export function remedyOf({ holder, port, unit }: Listener): string {
  if (isContainer(holder)) return `stop that container, which docker ps --filter publish=${port} shows`;
  return unit === undefined ? "stop that program" : `systemctl disable --now ${unit.replace(/\.service$/, "")}`;
}

function isContainer(holder: string | undefined): boolean {
  return holder?.startsWith("docker-proxy ") ?? false;
}

/** What has to be done about ports that are taken, once for each program. */
export function portFaults(listeners: readonly Listener[]): string[] {
  const nameOf = ({ holder, unit }: Listener) => isContainer(holder) ? "a container" : unit ?? holder;
  const programs = Map.groupBy(listeners, (listener) => nameOf(listener) ?? `${listener.port}`);
  return [...programs.values()].map((listeners) => {
    const ports = listeners.map(({ port }) => port);
    const by = nameOf(listeners[0]!);
    const fact =
      `${ports.length === 1 ? "port" : "ports"} ${ports.join(" and ")} ${ports.length === 1 ? "is" : "are"} ` +
      `in use${by === undefined ? "" : ` by ${by}`}`;
    return `${fact}: ${remedyOf(listeners[0]!)}`;
  });
}
