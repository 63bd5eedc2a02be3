import { isServiceName } from "./service.ts";
import type { Volume } from "./template.ts";

/** What a container is started from and the limits it runs under; never changed, only replaced by another. */
export interface Revision {
  /** Unique among all revisions, such as `golang-1f2e3d4c5b6a`. */
  readonly name: string;
  /** The name of the service that it belongs to. */
  readonly service: string;
  /** The image as people call it. */
  readonly image: string;
  /** The image's content, `sha256:…`: what is really started, whatever the name means by then. */
  readonly imageId: string;
  /** By which the image can be pulled again, `name@sha256:…`; missing for one that is only local. */
  readonly imageDigest?: string;
  /** Where the app listens inside its container. */
  readonly port: number;
  /** The path that must answer before an instance gets requests. */
  readonly readinessPath: string;
  /** From the start to the first good answer, ms. */
  readonly startTimeout: number;
  /** From a request's arrival to the response's headers, ms. */
  readonly requestTimeout: number;
  /** From the end of the last lease to the pause of an instance, ms; `Infinity` is never. */
  readonly pauseAfter: number;
  /** From the end of the last lease to the stop of an instance, ms; `Infinity` is never. */
  readonly stopAfter: number;
  /** The app's environment: it goes to the engine, and never into a log or a label. */
  readonly env: Readonly<Record<string, string>>;
  /** Further variables, with the names of the secrets that are their values; filled in when a container starts. */
  readonly secretEnv?: Readonly<Record<string, string>>;
  /** Which value of each of these secrets it has, by the secret's name. */
  readonly secretVersions?: Readonly<Record<string, number>>;
  /** In place of the image's own; empty for that. */
  readonly command: readonly string[];
  /** How much memory a container may use, swap included, bytes; `undefined` for any amount. */
  readonly memory: number | undefined;
  /** How many processors a container may keep busy, such as 0.5; `undefined` for all. */
  readonly cpus: number | undefined;
  readonly volumes: readonly Volume[];
  /** How many requests an instance serves at once; 0 for any number. */
  readonly concurrency: number;
  /** How many instances there are always, whether anybody asks for them or not. */
  readonly minInstances: number;
  /** How many instances there are at most. */
  readonly maxInstances: number;
  /** What an instance is asked while it is ready, and how often, ms: one that does not answer is replaced. */
  readonly liveness?: { readonly path: string; readonly every: number };
}

/** What a container is run with beside its image. */
export type Extras = Pick<Revision, "env" | "command" | "memory" | "cpus" | "volumes">;

/** What a container is run with where nobody has said anything: the image alone decides. */
export const NO_EXTRAS: Extras = Object.freeze({
  env: Object.freeze({}),
  command: Object.freeze([]),
  memory: undefined,
  cpus: undefined,
  volumes: Object.freeze([]),
});

/** The limits that a revision takes from the program's settings; each in ms. */
export type Limits = Pick<Revision, "startTimeout" | "requestTimeout" | "pauseAfter" | "stopAfter">;

/** The image that the label of a hostname stands for where nobody has said otherwise. */
export function conventionImage(label: string): string {
  return `${label}-docker`;
}

/** The label that an image stands for, the reverse of {@linkcode conventionImage}; `undefined` where it stands for none. */
export function conventionLabel(image: string): string | undefined {
  const label = /^(.*)-docker$/.exec(image)?.[1];
  return label !== undefined && isServiceName(label) ? label : undefined;
}

/**
 * The revision of a service that nobody has declared: the image decides everything, so a rebuilt image is a new
 * revision.
 */
export function conventionRevision(service: string, imageId: string, limits: Limits): Revision {
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
    concurrency: 0,
    minInstances: 0,
    maxInstances: 1,
  });
}
