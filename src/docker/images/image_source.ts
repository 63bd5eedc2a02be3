import { within } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { ImageUnavailable } from "../../control/deploy_error.ts";
import type { Images, ResolvedImage, ResolveOptions } from "../../deploy/pulled_images.ts";
import { defined } from "../../model/defined.ts";
import type { Revision } from "../../model/revision.ts";
import type { PullPolicy } from "../../model/template.ts";
import type { DockerCommand } from "../command.ts";
import type { EngineApi, EngineImage } from "../engine_api.ts";
import { type FailureKind, kindOf } from "../engine_error.ts";
import { isImageId, parseReference } from "./image_reference.ts";
import { pullError, PullTracker } from "./pull_output.ts";

const log = logger("images");
const PULL_TIMEOUT_MS = 600_000;

/** Options of {@linkcode ImageSource.resolve}. */
interface PullOptions extends Partial<ResolveOptions> {
  /** How long a pull may take; ten minutes by default. */
  readonly timeoutMs?: number;
}

/** What is needed to pull a revision's image again. */
type Wanted = Pick<Revision, "name" | "image" | "imageId" | "imageDigest" | "startTimeoutMs">;

/** The other machines that instances can run on. */
export interface OtherMachines {
  /** The image that a name means on one of them; `undefined` if on none. Never rejects. */
  find(reference: string): Promise<Pick<ResolvedImage, "imageId" | "hasHealthCheck"> | undefined>;
}

/** Finds the content behind an image's name, on this machine or in a registry; pulls and removes images. */
export class ImageSource implements Images {
  readonly #api: Pick<EngineApi, "image" | "removeImage">;
  readonly #docker: DockerCommand;
  readonly #clock: Clock;
  readonly #others: OtherMachines | undefined;
  readonly #restoring = new Map<string, Promise<ResolvedImage>>();

  /** @param docker For pulls: it has the logins and credential helpers. */
  constructor(
    api: Pick<EngineApi, "image" | "removeImage">,
    docker: DockerCommand,
    clock: Clock = systemClock,
    others?: OtherMachines,
  ) {
    this.#api = api;
    this.#docker = docker;
    this.#clock = clock;
    this.#others = others;
  }

  /**
   * Finds the content behind a name. `never` looks on this machine only. `missing` looks on this machine first, and
   * then in the registry, and last on the other machines. `always` looks in the registry. An image id is searched on this
   * machine, and unless with `never` on the others.
   *
   * @throws {ImageUnavailable} When there is none; the message is one line for the operator.
   */
  async resolve(reference: string, policy: PullPolicy, options: PullOptions = {}): Promise<ResolvedImage> {
    options.signal?.throwIfAborted();
    const byId = isImageId(reference);
    if (!byId && parseReference(reference) === undefined) throw invalidReference(reference);
    if (byId || policy !== "always") {
      const local = await this.#inspect(reference, options.signal);
      if (local !== undefined) return { ...local, pulled: false };
      if (policy === "never") throw notHere(reference);
      if (byId) return await this.#elsewhere(reference, notHere(reference));
    }
    let pulled: Pick<PullTracker, "digest" | "upToDate">;
    try {
      pulled = await this.#pull(reference, options);
    } catch (error) {
      if (policy === "always" || options.signal?.aborted) throw error;
      return await this.#elsewhere(reference, error);
    }
    const { digest, upToDate } = pulled;
    const image = await this.#inspect(reference, options.signal, digest);
    if (image === undefined) throw notHere(reference); // somebody has removed it already
    return { ...image, pulled: !upToDate };
  }

  /**
   * Pulls a revision's image again after somebody has removed it. All starts that need it share one pull. The pull
   * continues even if the first of these starts is given up.
   *
   * @throws {ImageUnavailable} When the pull fails, or takes longer than a start may; the message says what to do.
   */
  async restore(wanted: Wanted): Promise<void> {
    const { image, imageDigest, imageId, name, startTimeoutMs } = wanted;
    const gone = `the image ${image} of ${name} (${imageId.slice(0, 19)}) is not on this machine any more`;
    if (imageDigest === undefined) {
      const message = `${gone}, and no registry has it: build it again, and deploy it`;
      throw new ImageUnavailable(message, { reason: "not_found" });
    }
    try {
      const pulled = await within(this.#restore(imageDigest), this.#clock, startTimeoutMs);
      if (pulled === undefined) {
        throw new ImageUnavailable("it is still being pulled; try again", { reason: "timeout" });
      }
      if (pulled.imageId === imageId) return;
      const message = `the registry has something else for ${imageDigest}: deploy it again`;
      throw new ImageUnavailable(message, { reason: "not_found" });
    } catch (error) {
      const reason = error instanceof ImageUnavailable ? error.reason : "engine";
      throw new ImageUnavailable(`${gone}: ${messageOf(error)}`, { reason, cause: error });
    }
  }

  /**
   * Removes an image that cless has pulled by these names. Returns whether it is gone. It stays if a container or
   * another image needs it, or if it has other names. @throws {ImageUnavailable} When the engine refuses for another
   * reason.
   */
  async remove(imageId: string, names: Iterable<string> = []): Promise<boolean> {
    let failure = await this.#remove(imageId);
    if (failure?.kind === "tagged") {
      let fewer = false;
      for (const name of names) {
        const named = await this.#inspect(name, undefined); // the name may mean another image by now
        if (named?.imageId === imageId) fewer = await this.#remove(name) === undefined || fewer;
      }
      if (fewer) failure = await this.#remove(imageId);
    }
    if (failure === undefined) return true;
    const { kind, reason } = failure;
    if (kind !== "in_use" && kind !== "tagged") {
      throw new ImageUnavailable(`cannot remove the image ${imageId}: ${reason}`);
    }
    log.debug("image stays", { image: imageId, reason });
    return false;
  }

  async exposedPorts(imageId: string): Promise<readonly number[]> {
    return await this.#api.image(imageId).then(({ exposedPorts }) => exposedPorts, () => []);
  }

  /** Removes an image by its name or id. @returns Why it is still there; `undefined` if it is gone. */
  async #remove(image: string): Promise<{ kind: FailureKind | undefined; reason: string } | undefined> {
    try {
      await this.#api.removeImage(image);
      return undefined;
    } catch (error) {
      const kind = kindOf(error);
      return kind === "no_such_image" ? undefined : { kind, reason: messageOf(error) };
    }
  }

  #restore(digest: string): Promise<ResolvedImage> {
    const known = this.#restoring.get(digest);
    if (known !== undefined) return known;
    log.warning("an image is not on this machine any more; pulling it again", { image: digest });
    const pulling = this.resolve(digest, "missing").finally(() => this.#restoring.delete(digest));
    pulling.then(
      () => log.info("image is there again", { image: digest }),
      (error) => log.error("cannot pull an image again", { image: digest, reason: messageOf(error) }),
    );
    this.#restoring.set(digest, pulling);
    return pulling;
  }

  /** What a name means on another machine. @throws The failure, if there is no such image either. */
  async #elsewhere(reference: string, failure: unknown): Promise<ResolvedImage> {
    const found = await this.#others?.find(reference);
    if (found === undefined) throw failure;
    log.info("an image is on another machine", { image: reference });
    return { ...found, pulled: false };
  }

  /** @returns What the registry reported. */
  async #pull(reference: string, options: PullOptions): Promise<Pick<PullTracker, "digest" | "upToDate">> {
    const { onProgress, signal, timeoutMs = PULL_TIMEOUT_MS } = options;
    const tracker = new PullTracker();
    log.info("pulling an image", { image: reference });
    onProgress?.({ status: "Asking the registry", done: 0, total: 0 });
    try {
      await this.#docker.run(["image", "pull", reference], {
        timeoutMs,
        signal,
        onLine: (line) => {
          const progress = tracker.read(line);
          if (progress !== undefined) onProgress?.(progress);
        },
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw pullError(reference, error, timeoutMs);
    }
    return tracker;
  }

  /** @param pulled The digest to prefer, if the engine knows several for the image. */
  async #inspect(
    reference: string,
    signal: AbortSignal | undefined,
    pulled?: string,
  ): Promise<Omit<ResolvedImage, "pulled"> | undefined> {
    let image: EngineImage;
    try {
      image = await this.#api.image(reference, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (kindOf(error) === "no_such_image") return undefined;
      throw new ImageUnavailable(`cannot look for the image ${reference}: ${messageOf(error)}`, { cause: error });
    }
    const digest = digestOf(reference, image.digests, pulled);
    return { imageId: image.id, ...defined({ digest, hasHealthCheck: image.hasHealthCheck || undefined }) };
  }
}

function invalidReference(reference: string): ImageUnavailable {
  const message = `${JSON.stringify(reference)} is not a valid name of an image`;
  return new ImageUnavailable(message, { reason: "invalid_reference" });
}

/** The error for an image that is not on this machine, when no registry is asked. */
function notHere(reference: string): ImageUnavailable {
  return new ImageUnavailable(`the image ${reference} is not on this machine`, { reason: "not_found" });
}

/** The digest that belongs to a name: an image may have come from several registries. */
function digestOf(reference: string, digests: readonly string[], pulled: string | undefined): string | undefined {
  const wanted = parseReference(reference);
  if (wanted === undefined) return digests[0]; // for an id, any digest will do
  const own = digests.filter((digest) => digest.startsWith(`${wanted.repository}@`));
  return own.find((digest) => digest.endsWith(`@${wanted.digest ?? pulled}`)) ?? own[0];
}
