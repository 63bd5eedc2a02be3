import { messageOf } from "../../base/errors.ts";
import { ImageUnavailable } from "../../control/deploy_error.ts";
import type { PullProgress } from "../../deploy/pulled_images.ts";
import { kindOf } from "../engine_error.ts";

/** Reads what `docker pull` prints when its output is not a terminal. */
export class PullTracker {
  /** The registry's digest for the name, `sha256:…`, once reported. */
  digest: string | undefined;
  /** Whether the registry had nothing new. */
  upToDate = false;
  readonly #layers = new Map<string, boolean>();

  /** Reads one line; returns `undefined` for an empty one. */
  read(line: string): PullProgress | undefined {
    const text = line.trim();
    if (text === "") return undefined;
    const [, layer, status = ""] = /^([0-9a-f]{12}): (.+)$/.exec(text) ?? [];
    this.digest ??= /^Digest: (sha256:[0-9a-f]{64})$/.exec(text)?.[1];
    if (/^Status: Image is up to date/.test(text)) this.upToDate = true;
    if (layer !== undefined) this.#layers.set(layer, /^(Pull complete|Already exists)/.test(status));
    const done = [...this.#layers.values()].filter(Boolean).length;
    const counts = { done, total: this.#layers.size };
    return layer === undefined ? { status: text, ...counts } : { layer, status, ...counts };
  }
}

/**
 * Why a pull failed. `not_found`: no such image. `denied`: no access. `limited`: no access for now. `unreachable`: the
 * registry does not answer. `invalid_reference`: not a valid name. `engine`: anything else.
 */
type PullFailure = "not_found" | "denied" | "limited" | "unreachable" | "invalid_reference" | "engine";

/** Messages of failed pulls, with their meanings; the first match counts. */
const MESSAGES: readonly (readonly [pattern: RegExp, reason: PullFailure, meaning: string])[] = [
  [/docker daemon|error during connect|no space left/i, "engine", "the engine cannot pull IMAGE"],
  [
    /error getting credentials|docker-credential/i,
    "denied",
    "the docker command cannot get at its passwords; mend its credential helper, or: docker login",
  ],
  [/invalid reference|parse reference/i, "invalid_reference", "IMAGE is not a valid name of an image"],
  [
    /toomanyrequests|too many requests|rate limit/i,
    "limited",
    "the registry of IMAGE allows no more pulls for now; it allows more after: docker login",
  ],
  [/no matching manifest|specified platform/i, "not_found", "the image IMAGE is not made for this kind of machine"],
  [
    /access denied|unauthorized|authentication required|no basic auth|resource is denied|forbidden|status(?: code)?:? 40[13]/i,
    "denied",
    "IMAGE does not exist, or not for everybody; if it does, give this machine a password with: docker login",
  ],
  [/manifest unknown|name unknown|not found|status(?: code)?:? 404/i, "not_found", "there is no image IMAGE"],
  [
    /no such host|dial tcp|connection re(?:fused|set)|timeout|deadline|awaiting headers|unreachable|x509|tls:|\bEOF\b/i,
    "unreachable",
    "the image IMAGE cannot be pulled: its registry does not answer",
  ],
  [
    /server gave HTTP|proxyconnect|server misbehaving|bad gateway|service unavailable|internal server error/i,
    "unreachable",
    "the image IMAGE cannot be pulled: its registry does not answer as it should",
  ],
];

/** The error of a failed pull: one line for the operator, with what to do if known. */
export function pullError(image: string, cause: unknown, timeoutMs: number): ImageUnavailable {
  if (kindOf(cause) === "late") {
    const message = `the pull of ${image} took more than ${timeoutMs / 1000} s`;
    return new ImageUnavailable(message, { reason: "timeout", cause });
  }
  const said = messageOf(cause);
  const words = said.replaceAll(image, ""); // a name may contain any words
  const [, reason, meaning] = MESSAGES.find(([pattern]) => pattern.test(words)) ?? [];
  if (reason === undefined) return new ImageUnavailable(`cannot pull ${image}: ${said}`, { reason: "engine", cause });
  return new ImageUnavailable(`${meaning?.replace("IMAGE", () => image)} (${said})`, { reason, cause });
}
