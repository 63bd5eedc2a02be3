import { type Capabilities, type ContainerDefaults, DROPPED, withDefaults } from "./isolation.ts";
import { isServiceName } from "./service.ts";
import type { RevisionTemplate } from "./template.ts";

/** The fields that a revision takes unchanged from its template. */
type SameAsTemplate =
  | "image"
  | "port"
  | "env"
  | "command"
  | "volumes"
  | "concurrency"
  | "minInstances"
  | "maxInstances"
  | "liveness"
  | "user"
  | "runtime"
  | "placement";

/** What a container is started from, and its limits. It never changes; a change makes another revision. */
export interface Revision extends Pick<RevisionTemplate, SameAsTemplate> {
  /** Unique among all revisions, such as `golang-1f2e3d4c5b6a`. */
  readonly name: string;
  readonly service: string;
  /** The id of the image's content, `sha256:…`. Containers start from it, even if the name now means another image. */
  readonly imageId: string;
  /** The digest by which the image can be pulled again, `name@sha256:…`; missing for a local image. */
  readonly imageDigest?: string;
  /** The path that must answer before an instance gets requests. */
  readonly readinessPath: string;
  /** The time from the start to the first good answer. */
  readonly startTimeoutMs: number;
  /** The time from a request's arrival to the response's headers. */
  readonly requestTimeoutMs: number;
  /** How long a client may stop sending its request or reading its response; `Infinity` means no limit. */
  readonly clientTimeoutMs: number;
  /**
   * How long an instance may answer none of its requests before cless checks whether it hangs; `Infinity` means never.
   */
  readonly hangAfterMs: number;
  /** An instance is paused after this time without a request that keeps it awake; `Infinity` means never. */
  readonly pauseAfterMs: number;
  /** An instance is stopped after this time without a request that keeps it awake; `Infinity` means never. */
  readonly stopAfterMs: number;
  /** How long an instance may be idle before the memory of a paused one is moved to disk. */
  readonly hibernateAfterMs: number;
  /** How long an instance may be idle before it is stopped if its memory is on disk. */
  readonly stopHibernatedAfterMs: number;
  /** Variables whose values are secrets, with the secrets' names; filled in when a container starts. */
  readonly secretEnv?: Readonly<Record<string, string>>;
  /** The version of each of these secrets, by the secret's name. */
  readonly secretVersions?: Readonly<Record<string, number>>;
  /** How much memory a container may use, swap included; `undefined` for no limit. */
  readonly memoryBytes: number | undefined;
  /** How many processors a container may keep busy, such as 0.5; `undefined` for no limit. */
  readonly cpus: number | undefined;
  /** Changes to the capabilities that the engine gives by default. */
  readonly capabilities: Capabilities;
  /** Whether the container can write only into its volumes and /tmp. */
  readonly readOnly: boolean;
}

/** What tells a revision from all others, and whose it is. */
export type RevisionName = Pick<Revision, "name" | "service">;

/** The default of {@linkcode Revision.hangAfterMs}. */
export const HANG_AFTER_MS = 20_000;

/** The settings of a convention revision, which is described by its image alone. */
export const NO_EXTRAS: Pick<
  Revision,
  "env" | "command" | "memoryBytes" | "cpus" | "volumes" | "capabilities" | "readOnly" | "hangAfterMs"
> = Object.freeze({
  env: Object.freeze({}),
  command: Object.freeze([]),
  memoryBytes: undefined,
  cpus: undefined,
  volumes: Object.freeze([]),
  capabilities: withDefaults({ dropped: DROPPED }),
  readOnly: false,
  hangAfterMs: HANG_AFTER_MS,
});

/** The limits whose defaults come from the program's settings. */
export type Limits = Pick<
  Revision,
  | "startTimeoutMs"
  | "requestTimeoutMs"
  | "clientTimeoutMs"
  | "pauseAfterMs"
  | "hibernateAfterMs"
  | "stopAfterMs"
  | "stopHibernatedAfterMs"
>;

/** Without limits of memory and processors. */
const UNLIMITED: ContainerDefaults = Object.freeze({ dropped: DROPPED, memoryBytes: undefined, cpus: undefined });

/** The image that a hostname's label stands for if no service of that name is declared. */
export function conventionImage(label: string): string {
  return `${label}-docker`;
}

/** The reverse of {@linkcode conventionImage}: the image's label, or `undefined` if it has none. */
export function conventionLabel(image: string): string | undefined {
  const label = /^(.*)-docker$/.exec(image)?.[1];
  return label !== undefined && isServiceName(label) ? label : undefined;
}

/** The revision of an undeclared service. Its name comes from the image's id: a rebuilt image is a new revision. */
export function conventionRevision(
  service: string,
  imageId: string,
  limits: Limits,
  defaults: ContainerDefaults = UNLIMITED,
): Revision {
  const content = imageId.replace(/^sha256:/, "");
  return Object.freeze({
    name: `${service}-${content.slice(0, 12)}`,
    service,
    image: conventionImage(service),
    imageId,
    port: 8080,
    readinessPath: "/",
    ...limits,
    ...NO_EXTRAS,
    memoryBytes: defaults.memoryBytes,
    cpus: defaults.cpus,
    capabilities: withDefaults(defaults),
    concurrency: 0,
    minInstances: 0,
    maxInstances: 1,
  });
}
