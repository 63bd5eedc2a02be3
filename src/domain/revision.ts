import { isServiceName } from "./hostname.ts";

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
  /** Where the app listens inside its container. */
  readonly port: number;
  /** The path that must answer before an instance gets requests. */
  readonly readinessPath: string;
  /** From the start to the first good answer, ms. */
  readonly startTimeout: number;
  /** From a request's arrival to the response's headers, ms. */
  readonly requestTimeout: number;
  /** From the end of the last lease to the stop of an instance, ms; `Infinity` is never. */
  readonly stopAfter: number;
}

/** The limits that a revision takes from the program's settings; each in ms. */
export type Limits = Pick<Revision, "startTimeout" | "requestTimeout" | "stopAfter">;

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
  });
}
