import type { PullPolicy, RevisionTemplate } from "../model/template.ts";
import { ImageUnavailable } from "../control/deploy_error.ts";
import type { Content } from "./deploy_plan.ts";
import type { Emit } from "../control/events.ts";
import type { PulledImages } from "./pulled_images.ts";
import type { RevisionSecrets } from "../control/runtime_revision.ts";

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
  readonly pulled: Pick<PulledImages, "has" | "need" | "removal">;
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

  /**
   * Finds it, with a pull where that is needed.
   *
   * @returns It, and a function to be called when a revision is kept that has it, or none will be: until then, the image
   * stays.
   * @throws What `images` and `secrets` throw.
   */
  async find(
    service: string,
    template: RevisionTemplate,
    signal: AbortSignal,
  ): Promise<{ content: Content; release: () => void }> {
    this.#versionsOf(template); // a name that is wrong should not have to wait for a pull
    while (true) {
      const { imageId, digest, pulled } = await this.#resolve(service, template, signal);
      const removal = this.#parts.pulled.removal(imageId);
      if (removal === undefined) {
        signal.throwIfAborted();
        const secretVersions = this.#versionsOf(template);
        const wasPulled = pulled || this.#parts.pulled.has(imageId);
        const content = { template, imageId, imageDigest: digest, pulled: wasPulled, secretVersions };
        return { content, release: this.#parts.pulled.need(imageId, pulled ? template.image : undefined) };
      }
      await removal; // it was the last revision's, and is pulled again
    }
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

  #resolve(service: string, { image, pullPolicy }: RevisionTemplate, signal: AbortSignal) {
    const { emit, images } = this.#parts;
    return images.resolve(image, pullPolicy, {
      signal,
      onProgress: ({ status, done, total, layer }) =>
        emit("revision.pulling", service, { image, done, total, status, ...(layer === undefined ? {} : { layer }) }),
    });
  }

  #versionsOf({ secretEnv }: RevisionTemplate): Record<string, number> {
    return this.#parts.secrets.currentVersions(Object.values(secretEnv));
  }
}
