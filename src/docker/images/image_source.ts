import { abortable } from "@std/async/abortable";
import type { PullPolicy } from "../../model/template.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { type DockerCommand, jsonLines } from "../command.ts";
import type { EngineSocket } from "../engine_socket.ts";
import { ImageError, invalidReference, notHere, pullError } from "./image_error.ts";
import { isImageId, parseReference } from "./image_reference.ts";
import { type PullProgress, PullTracker } from "./pull_progress.ts";

const log = logger("images");
/** After that a pull is given up, ms. */
const PULL_PATIENCE_MS = 600_000;

/** Options of {@linkcode ImageSource.resolve}. */
export interface PullOptions {
  /** Is told how a pull goes on. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Ends a pull; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long a pull may take, ms; ten minutes where it is missing. */
  readonly timeoutMs?: number;
}

/** An image that is on this machine. */
export interface ResolvedImage {
  /** The content, `sha256:…`. */
  readonly imageId: string;
  /** Where the same content is to be had again, `name@sha256:…`; missing for an image that was only ever here. */
  readonly digest?: string;
  /** Whether it came from a registry just now. */
  readonly pulled: boolean;
}

/** What the engine's API says of an image, as far as it is needed. */
interface EngineImage {
  readonly Id: string;
  readonly RepoDigests?: readonly string[] | null;
}

/** An image as `docker image inspect` is asked to write it. */
interface Inspected {
  readonly id: string;
  readonly digests: readonly string[] | null;
}

/** Finds out which content a name means, on this machine or in a registry. */
export class ImageSource {
  readonly #docker: DockerCommand;
  readonly #socket: Pick<EngineSocket, "get"> | undefined;

  /** @param socket Asked what is on this machine, where there is one: a command for each of many deploys is much. */
  constructor(docker: DockerCommand, socket?: Pick<EngineSocket, "get">) {
    this.#docker = docker;
    this.#socket = socket;
  }

  /**
   * The content that a name means: with `never` on this machine; with `missing` on this machine, else in the registry;
   * with `always` in the registry. An id means the same everywhere, and is only looked for on this machine.
   *
   * @throws {ImageError} When there is none; the message is one line for the operator.
   */
  async resolve(reference: string, policy: PullPolicy, options: PullOptions = {}): Promise<ResolvedImage> {
    options.signal?.throwIfAborted();
    const byId = isImageId(reference);
    if (!byId && parseReference(reference) === undefined) throw invalidReference(reference);
    if (byId || policy !== "always") {
      const local = await this.#inspect(reference, options.signal);
      if (local !== undefined) return { ...local, pulled: false };
      if (byId || policy === "never") throw notHere(reference);
    }
    const { digest, upToDate } = await this.#pull(reference, options);
    const image = await this.#inspect(reference, options.signal, digest);
    if (image === undefined) throw notHere(reference); // somebody was quick to remove it
    return { ...image, pulled: !upToDate };
  }

  /**
   * Gets back the content of an earlier {@linkcode ResolvedImage.digest}; asks the registry only where it is gone.
   *
   * @throws {ImageError} As {@linkcode ImageSource.resolve} does.
   */
  pullByDigest(digest: string, options: PullOptions = {}): Promise<ResolvedImage> {
    if (parseReference(digest)?.digest === undefined) return Promise.reject(invalidReference(digest));
    return this.resolve(digest, "missing", options);
  }

  /**
   * Removes an image that cless has pulled. One that a container, another image or another name needs stays.
   *
   * @param names What it was pulled as: these may go with it.
   * @returns Whether it is gone.
   * @throws {ImageError} When the engine refuses for another reason.
   */
  async remove(imageId: string, names: Iterable<string> = []): Promise<boolean> {
    let reason = await this.#refusal(imageId);
    // It has several names, and by its id it goes only with the last one.
    if (reason !== undefined && /must be forced/i.test(reason)) {
      let fewer = false;
      for (const name of names) {
        const named = await this.#inspect(name, undefined); // by now it could mean something else
        if (named?.imageId === imageId) fewer = await this.#refusal(name) === undefined || fewer;
      }
      if (fewer) reason = await this.#refusal(imageId);
    }
    if (reason === undefined) return true;
    if (!/conflict|in use|being used|dependent child|must be forced/i.test(reason)) {
      throw new ImageError("engine", `cannot remove the image ${imageId}: ${reason}`);
    }
    log.debug("image stays", { image: imageId, reason });
    return false;
  }

  /** Removes what has that name or id; the engine's words where it is still there. */
  async #refusal(image: string): Promise<string | undefined> {
    try {
      await this.#docker.run(["image", "rm", image]);
      return undefined;
    } catch (error) {
      const reason = messageOf(error);
      return /no such image|image not known/i.test(reason) ? undefined : reason;
    }
  }

  /** @returns What the registry has said. */
  async #pull(reference: string, options: PullOptions): Promise<Pick<PullTracker, "digest" | "upToDate">> {
    const { onProgress, signal, timeoutMs = PULL_PATIENCE_MS } = options;
    const tracker = new PullTracker();
    log.info("pulling an image", { image: reference });
    try {
      await this.#docker.run(["image", "pull", reference], {
        timeout: timeoutMs,
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

  /** @param digest The one to name, where the engine knows several for the image. */
  async #inspect(
    reference: string,
    signal: AbortSignal | undefined,
    digest?: string,
  ): Promise<Omit<ResolvedImage, "pulled"> | undefined> {
    try {
      const image = await this.#inspectBySocket(reference, signal) ?? await this.#inspectByCommand(reference, signal);
      if (image === undefined) throw new ImageError("engine", `the engine does not say what ${reference} is`);
      const known = digestOf(reference, image.digests ?? [], digest);
      return { imageId: image.id, ...(known === undefined ? {} : { digest: known }) };
    } catch (error) {
      signal?.throwIfAborted();
      if (/no such image|image not known/i.test(messageOf(error))) return undefined;
      if (error instanceof ImageError) throw error;
      throw new ImageError("engine", `cannot look for the image ${reference}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #inspectBySocket(reference: string, signal: AbortSignal | undefined): Promise<Inspected | undefined> {
    const path = reference.split("/").map(encodeURIComponent).join("/");
    const asked = this.#socket?.get(`/images/${path}/json`);
    const answer = await (asked && signal ? abortable(asked, signal) : asked) as EngineImage | undefined;
    return answer && typeof answer.Id === "string" ? { id: answer.Id, digests: answer.RepoDigests ?? [] } : undefined;
  }

  async #inspectByCommand(reference: string, signal: AbortSignal | undefined): Promise<Inspected | undefined> {
    const format = '--format={"id":{{json .Id}},"digests":{{json .RepoDigests}}}';
    const output = await this.#docker.run(["image", "inspect", format, reference], { signal });
    return jsonLines<Inspected>(output, "id", "digests")[0];
  }
}

/** The digest that goes with a name: an image may have come from more than one registry. */
function digestOf(reference: string, digests: readonly string[], pulled: string | undefined): string | undefined {
  const wanted = parseReference(reference);
  if (wanted === undefined) return digests[0]; // by its id: any will do
  const own = digests.filter((digest) => digest.startsWith(`${wanted.repository}@`));
  return own.find((digest) => digest.endsWith(`@${wanted.digest ?? pulled}`)) ?? own[0];
}
