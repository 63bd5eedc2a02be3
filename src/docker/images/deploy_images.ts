import type { ImageResolver } from "../../deploy/content.ts";
import { ImageUnavailable } from "../../control/deploy_error.ts";
import type { ImageRemover } from "../../deploy/pulled_images.ts";
import { ImageError } from "./image_error.ts";
import type { ImageSource } from "./image_source.ts";

/** The engine's images as deploys know them, with its errors in their words. */
export function deployImages(source: Pick<ImageSource, "remove" | "resolve">): ImageResolver & ImageRemover {
  return {
    remove: (imageId, names) => source.remove(imageId, names),
    async resolve(reference, policy, options) {
      try {
        return await source.resolve(reference, policy, options);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        throw new ImageUnavailable(error.message, { reason: error.reason, cause: error });
      }
    },
  };
}
