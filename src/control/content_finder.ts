import type { PullPolicy, RevisionTemplate } from "../domain/template.ts";
import { ImageUnavailable } from "./deploy_error.ts";
import type { Content } from "./deploy_plan.ts";
import type { Emit } from "./emit.ts";
import type { RevisionSecrets } from "./runtime_revision.ts";

/** How a pull goes on. */
export interface PullProgress {
  /** The part that it is about; missing where it is the image as a whole. */
  readonly layer?: string;
  readonly status: string;
  /** How many parts are there, of those that are known of so far. */
  readonly done: number;
  readonly total: number;
}

/** Options of {@linkcode ImageResolver.resolve}. */
export interface ResolveOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
}

/** Finds out which content the name of an image means. */
export interface ImageResolver {
  /** @throws {ImageUnavailable} Where there is none; with `never`, nothing but this machine is asked. */
  resolve(reference: string, policy: PullPolicy, options: ResolveOptions): Promise<{
    readonly imageId: string;
    readonly digest?: string;
    readonly pulled: boolean;
  }>;
}

/** What a {@linkcode ContentFinder} works with. */
export interface ContentParts {
  readonly images: ImageResolver;
  readonly secrets: Pick<RevisionSecrets, "currentVersions">;
  readonly emit: Emit;
}

/** What a template comes to now. */
export interface Foreseen {
  readonly content: Content;
  /** Whether its image would be pulled first; what is pulled may be another content than the one that is foreseen. */
  readonly pull: boolean;
}

const NEVER = new AbortController().signal;

/** Finds out what a template means at this moment: which content its image has, and which values its secrets. */
export class ContentFinder {
  readonly #parts: ContentParts;

  constructor(parts: ContentParts) {
    this.#parts = parts;
  }

  /** Finds it, with a pull where that is needed. @throws What `images` and `secrets` throw. */
  async find(service: string, template: RevisionTemplate, signal: AbortSignal): Promise<Content> {
    const { emit, images } = this.#parts;
    this.#versionsOf(template); // a name that is wrong should not have to wait for a pull
    const { image } = template;
    const { imageId, digest, pulled } = await images.resolve(image, template.pullPolicy, {
      signal,
      onProgress: ({ status, done, total, layer }) =>
        emit("revision.pulling", service, { image, done, total, status, ...(layer === undefined ? {} : { layer }) }),
    });
    signal.throwIfAborted();
    return { template, imageId, imageDigest: digest, pulled, secretVersions: this.#versionsOf(template) };
  }

  /** Foresees it, and pulls nothing. @throws As {@linkcode find} does. */
  async foresee(template: RevisionTemplate): Promise<Foreseen> {
    const secretVersions = this.#versionsOf(template);
    const { image, pullPolicy } = template;
    const local = await this.#parts.images.resolve(image, "never", { signal: NEVER }).catch((error) => {
      if (pullPolicy !== "never" && error instanceof ImageUnavailable && error.reason === "not_found") return undefined;
      throw error;
    });
    const { imageId = "", digest } = local ?? {};
    return {
      content: { template, imageId, imageDigest: digest, pulled: false, secretVersions },
      pull: local === undefined || pullPolicy === "always",
    };
  }

  #versionsOf({ secretEnv }: RevisionTemplate): Record<string, number> {
    return this.#parts.secrets.currentVersions(Object.values(secretEnv));
  }
}
