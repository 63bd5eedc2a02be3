import { LABEL } from "./container_spec.ts";
import type { EngineEvent, EngineImage, EngineInfo, EngineNetwork, ListedContainer } from "./engine_api.ts";

// The parts of the engine's JSON that cless uses. `--format={{json .}}` of the docker command prints the same.

/** `GET /info` */
interface ApiInfo {
  readonly ID?: string;
  readonly DockerRootDir?: string;
  readonly DefaultRuntime?: string;
}

/** `GET /networks` */
interface ApiNetwork {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null };
}

/** `GET /images/NAME/json` */
interface ApiImage {
  readonly Id?: string;
  readonly RepoDigests?: readonly string[] | null;
  readonly Config?: {
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
    readonly User?: string;
    readonly Healthcheck?: { readonly Test?: readonly string[] | null } | null;
  } | null;
}

/** `GET /events` */
interface ApiEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
  readonly timeNano?: number;
}

export function infoOf({ DefaultRuntime = "", DockerRootDir = "", ID = "" }: ApiInfo): EngineInfo {
  return { id: ID, dataFolder: DockerRootDir, runtime: DefaultRuntime };
}

export function networkOf({ IPAM, Labels, Name }: ApiNetwork): EngineNetwork {
  const subnets = (IPAM?.Config ?? []).flatMap(({ Gateway, Subnet }) =>
    Subnet === undefined ? [] : [{ subnet: Subnet, gateway: Gateway }]
  );
  return { name: Name, labels: Labels ?? {}, subnets };
}

/** @returns `undefined` for an answer without an image's id. */
export function imageOf(image: ApiImage | null): EngineImage | undefined {
  if (typeof image?.Id !== "string") return undefined;
  const { Config, Id, RepoDigests } = image;
  const ports = Object.keys(Config?.ExposedPorts ?? {}).flatMap((port) => /^(\d+)(?:\/tcp)?$/.exec(port)?.[1] ?? []);
  const [kind = "NONE"] = Config?.Healthcheck?.Test ?? [];
  const hasHealthCheck = kind !== "NONE";
  const user = Config?.User ?? "";
  return { id: Id, digests: RepoDigests ?? [], exposedPorts: ports.map(Number), hasHealthCheck, user };
}

/** The short name of a local image, without the prefixes that Podman adds; `undefined` for an image of a registry. */
export function shortName(repository: string): string | undefined {
  return /^(?:docker\.io\/library\/|localhost\/)?([^/]+)$/.exec(repository)?.[1];
}

/** @returns `undefined` for an event of neither a container nor an image. */
export function eventOf({ Action, Actor, Type, timeNano }: ApiEvent): EngineEvent | undefined {
  if ((Type !== "container" && Type !== "image") || Action === undefined) return undefined;
  // Rounded down, so that a stream that resumes there rather repeats an event than misses one.
  const time = timeNano === undefined ? undefined : (Math.floor(timeNano / 1000) / 1e6).toFixed(6);
  return { type: Type, action: Action, engineId: Actor?.ID ?? "", attributes: Actor?.Attributes ?? {}, time };
}

/** A container in the engine's list. */
interface Entry {
  readonly id: string;
  readonly engineId: string;
  readonly state: string;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function containerOf({ engineId, id, labels, state, status }: Entry): ListedContainer {
  const label = (name: string) => labels[name] ?? "";
  return {
    id,
    engineId,
    owner: label(LABEL.owner),
    service: label(LABEL.service),
    revision: label(LABEL.revision),
    imageId: label(LABEL.image),
    state: state === "running" || state === "paused" || state === "created" ? state : "ended",
    upFor: uptime(status),
    address: label(LABEL.address),
    origin: label(LABEL.origin),
  };
}

const UNITS_MS: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000,
};

/**
 * The uptime in a status such as `Up 3 minutes (Paused)`, ms. The engine's list gives it in no other form. The engine
 * rounds minutes down, and hours to the nearest one.
 */
function uptime(status: string): number | undefined {
  if (/^Up Less than a second\b/.test(status)) return 0;
  const [, count, unit] = /^Up (\d+|About an?) (second|minute|hour|day|week|month|year)s?\b/.exec(status) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return (count.startsWith("About") ? 1 : Number(count)) * UNITS_MS[unit]!;
}

/**
 * Reads one JSON value per line. Skips lines that are not JSON or lack one of the fields, such as warnings of a wrapper
 * around the docker command.
 *
 * @param read Converts a value; returns `undefined` to skip it.
 */
export function jsonLines<T, R>(
  text: string,
  read: (value: T) => R | undefined,
  ...fields: (keyof T & string)[]
): R[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{") && !line.startsWith("[")) return [];
    let value;
    try {
      value = JSON.parse(line);
    } catch {
      return [];
    }
    const result = fields.every((field) => field in value) ? read(value) : undefined;
    return result === undefined ? [] : [result];
  });
}
