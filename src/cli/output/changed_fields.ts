/** What fields are called that a template has not by its own name. */
const NAMES: Readonly<Record<string, string>> = {
  imageId: "content of the image",
  secretVersions: "values of secrets",
};

/** The fields of a template that differ, in short. */
export function changedFields(changed: readonly string[]): string {
  // Another image has another content.
  return changed.filter((field) => field !== "imageId" || !changed.includes("image"))
    .map((field) => NAMES[field] ?? field).join(", ");
}
