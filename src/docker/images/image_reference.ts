/** The name of an image, in its parts. */
export interface ImageReference {
  /** As the docker command shows it: without `docker.io/` and `library/`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:…` */
  readonly digest: string | undefined;
}

const MAX_LENGTH = 512;
const NAME_PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const HOST_PART = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const HOST = new RegExp(`^(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[0-9a-fA-F:]+\\])(?::\\d+)?$`);
const PATH = new RegExp(`^${NAME_PART}(?:/${NAME_PART})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Parses an image's name as the docker command does, such as `ghcr.io/a/b:1` or `alpine@sha256:…`; `undefined` if it is
 * invalid. No name begins with a hyphen, so none can be taken for a flag.
 */
export function parseReference(text: string): ImageReference | undefined {
  if (text.length > MAX_LENGTH || isImageId(text)) return undefined;
  const [name = "", digest, ...more] = text.split("@");
  const [, full = "", tag] = /^(.*?)(?::([^:/]*))?$/s.exec(name) ?? [];
  if (more.length > 0 || (digest !== undefined && !DIGEST.test(digest))) return undefined;
  if (tag !== undefined && !TAG.test(tag)) return undefined;
  const { host, path } = splitHost(full);
  if ((host !== undefined && !HOST.test(host)) || !PATH.test(path) || isImageId(full)) return undefined;
  return { repository: familiar(host, path), tag, digest };
}

/** The host of the registry that has an image, such as `ghcr.io`; `undefined` for Docker Hub. */
export function registryOf(reference: string): string | undefined {
  const { host } = splitHost(reference);
  return isHub(host) ? undefined : host;
}

/** Whether a text is an image's id, with or without `sha256:`, and not a name. */
export function isImageId(text: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(text);
}

/** Splits off the host. The part before the first slash is a host only if it cannot be part of a path on Docker Hub. */
function splitHost(name: string): { host: string | undefined; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  if (!/[.:A-Z[]/.test(first) && first !== "localhost") return { host: undefined, path: name };
  return { host: first, path: name.slice(slash + 1) };
}

function familiar(host: string | undefined, path: string): string {
  return isHub(host) ? path.replace(/^library\/(?=[^/]+$)/, "") : `${host}/${path}`;
}

function isHub(host: string | undefined): boolean {
  return host === undefined || host === "docker.io" || host === "index.docker.io";
}
