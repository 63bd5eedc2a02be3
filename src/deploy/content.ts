import { ImageUnavailable } from "../control/deploy_error.ts";
import type { EventLog } from "../control/events.ts";
import type { RevisionRecord } from "../control/records.ts";
import type { RevisionSecrets } from "../control/runtime_revision.ts";
import { defined } from "../model/defined.ts";
import type { PullPolicy, RevisionTemplate } from "../model/template.ts";
import type { PulledImages } from "./pulled_images.ts";

/** The content of a revision. */
export type Content = Pick<RevisionRecord, "template" | "imageId" | "imageDigest" | "pulled" | "secretVersions">;

/** The progress of a pull. */
export interface PullProgress {
  /** The layer that this is about; missing for the image as a whole. */
  readonly layer?: string;
  readonly status: string;
  /** How many of the layers known so far are done. */
  readonly done: number;
  readonly total: number;
}

/** Options of {@linkcode ImageResolver.resolve}. */
export interface ResolveOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
}

/** Finds the content behind an image's name. */
export interface ImageResolver {
  /** Pulls the image if the policy requires it. @throws {ImageUnavailable} If there is none. */
  resolve(reference: string, policy: PullPolicy, options: ResolveOptions): Promise<{
    readonly imageId: string;
    readonly digest?: string;
    readonly pulled: boolean;
  }>;
}

export interface ContentSources {
  readonly images: ImageResolver;
  readonly pulled: Pick<PulledImages, "has" | "hold" | "removal">;
  readonly secrets: Pick<RevisionSecrets, "currentVersions">;
  readonly events: Pick<EventLog, "emit">;
}

/**
 * Finds the image's content and the secrets' versions for a template; pulls the image if necessary. The returned hold
 * keeps the image from being removed until it is disposed. @throws What `images` and `secrets` throw.
 */
export async function findContent(
  { events, images, pulled, secrets }: ContentSources,
  service: string,
  template: RevisionTemplate,
  signal: AbortSignal,
): Promise<{ readonly content: Content; readonly hold: Disposable }> {
  const { image, pullPolicy, secretEnv } = template;
  const currentVersions = () => secrets.currentVersions(Object.values(secretEnv));
  currentVersions(); // a wrong name fails before the pull
  while (true) {
    const { imageId, digest, pulled: isNew } = await images.resolve(image, pullPolicy, {
      signal,
      onProgress: ({ status, done, total, layer }) =>
        events.emit("revision.pulling", service, defined({ image, done, total, status, layer })),
    });
    const removal = pulled.removal(imageId);
    if (removal !== undefined) {
      await removal; // a sweep is removing the image: it has to be pulled again
      continue;
    }
    signal.throwIfAborted();
    const content = {
      ...{ template, imageId, imageDigest: digest },
      pulled: isNew || pulled.has(imageId),
      secretVersions: currentVersions(),
    };
    return { content, hold: pulled.hold(imageId, isNew ? image : undefined) };
  }
}

/**
 * The content that a template would have if deployed now, and whether a deploy would pull the image. It is found
 * without a pull, which may bring another content. @throws As {@linkcode findContent} does.
 */
export async function foreseeContent(
  { images, secrets }: Pick<ContentSources, "images" | "secrets">,
  template: RevisionTemplate,
): Promise<{ readonly content: Content; readonly pull: boolean }> {
  const { image, pullPolicy, secretEnv } = template;
  const secretVersions = secrets.currentVersions(Object.values(secretEnv));
  const { signal } = new AbortController();
  const local = await images.resolve(image, "never", { signal }).catch((error) => {
    if (pullPolicy !== "never" && error instanceof ImageUnavailable && error.reason === "not_found") return undefined;
    throw error;
  });
  const { imageId = "", digest } = local ?? {};
  return {
    content: { template, imageId, imageDigest: digest, pulled: false, secretVersions },
    pull: local === undefined || pullPolicy === "always",
  };
}
