import { messageOf } from "../../base/errors.ts";
import { DockerTimeout } from "../command.ts";

/**
 * Why an image is not to be had: `not_found` there is none of that name; `denied` the registry does not let this
 * machine have it; `limited` it does not for now; `unreachable` no registry answers; `timeout` it took too long;
 * `invalid_reference` that is no name; `engine` anything else, in the engine's words.
 */
export type ImageErrorReason =
  | "not_found"
  | "denied"
  | "limited"
  | "unreachable"
  | "timeout"
  | "invalid_reference"
  | "engine";

/** An image is not to be had: the message is one line for the operator, and says what to do where that is known. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly reason: ImageErrorReason;

  constructor(reason: ImageErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A text that names no image. */
export function invalidReference(reference: string): ImageError {
  return new ImageError("invalid_reference", `${JSON.stringify(reference)} is no name of an image`);
}

/** An image that is not on this machine, and that no registry is asked for. */
export function notHere(reference: string): ImageError {
  return new ImageError("not_found", `the image ${reference} is not on this machine`);
}

/** What engines and registries say, by what it means; the first that fits counts. */
const SAID: readonly (readonly [pattern: RegExp, reason: ImageErrorReason, meaning: (image: string) => string])[] = [
  [
    /docker daemon|error during connect|no space left/i,
    "engine",
    (image) => `the engine cannot pull ${image}`,
  ],
  [
    /error getting credentials|docker-credential/i,
    "denied",
    () => "the docker command cannot get at its passwords; mend its credential helper, or: docker login",
  ],
  [
    /invalid reference|parse reference/i,
    "invalid_reference",
    (image) => `${image} is no name of an image`,
  ],
  [
    /toomanyrequests|too many requests|rate limit/i,
    "limited",
    (image) => `the registry of ${image} allows no more pulls for now; it allows more after: docker login`,
  ],
  [
    /no matching manifest|specified platform/i,
    "not_found",
    (image) => `the image ${image} is not made for this kind of machine`,
  ],
  [
    /access denied|unauthorized|authentication required|no basic auth|resource is denied|forbidden|status(?: code)?:? 40[13]/i,
    "denied",
    (image) =>
      `${image} does not exist, or not for everybody; if it does, give this machine a password with: docker login`,
  ],
  [
    /manifest unknown|name unknown|not found|status(?: code)?:? 404/i,
    "not_found",
    (image) => `there is no image ${image}`,
  ],
  [
    /no such host|dial tcp|connection re(?:fused|set)|timeout|deadline|awaiting headers|unreachable|x509|tls:|\bEOF\b/i,
    "unreachable",
    (image) => `the image ${image} cannot be pulled: its registry does not answer`,
  ],
  [
    /server gave HTTP|proxyconnect|server misbehaving|bad gateway|service unavailable|internal server error/i,
    "unreachable",
    (image) => `the image ${image} cannot be pulled: its registry does not answer as it should`,
  ],
];

/** The error of a pull that has failed. */
export function pullError(image: string, cause: unknown, timeoutMs: number): ImageError {
  if (cause instanceof DockerTimeout) {
    return new ImageError("timeout", `the pull of ${image} took more than ${timeoutMs / 1000} s`, { cause });
  }
  const said = messageOf(cause);
  const words = said.replaceAll(image, ""); // a name may have any words in it
  for (const [pattern, reason, meaning] of SAID) {
    if (pattern.test(words)) return new ImageError(reason, `${meaning(image)} (${said})`, { cause });
  }
  return new ImageError("engine", `cannot pull ${image}: ${said}`, { cause });
}
