// @ts-check

/** What differs between two revisions, field by field. */

/** @typedef {{ field: string, before: string, after: string }} Difference */

const NOTHING = "-";

/**
 * The fields that differ. Variables are compared one by one. The image's content is named only where its name is the
 * same.
 *
 * @param {{ imageId: string, template: Record<string, any> }} before
 * @param {{ imageId: string, template: Record<string, any> }} after
 * @returns {Difference[]}
 */
export function differences(before, after) {
  const [old, now] = [flat(before.template), flat(after.template)];
  const fields = [...new Set([...old.keys(), ...now.keys()])].sort();
  const changed = fields.flatMap((field) => {
    const [was, is] = [old.get(field) ?? NOTHING, now.get(field) ?? NOTHING];
    return was === is ? [] : [{ field, before: was, after: is }];
  });
  if (before.imageId === after.imageId || changed.some(({ field }) => field === "image")) return changed;
  return [{ field: "content of the image", before: short(before.imageId), after: short(after.imageId) }, ...changed];
}

/**
 * The fields of a template with their values as texts.
 *
 * @param {Record<string, any>} template
 * @returns {Map<string, string>}
 */
export function flat(template) {
  const { env = {}, secretEnv = {}, ...fields } = template;
  return new Map([
    ...Object.entries(fields).flatMap(([name, value]) => entries(name, value)),
    ...Object.entries(env).map(([name, value]) => /** @type {const} */ ([`env ${name}`, String(value)])),
    ...Object.entries(secretEnv).map((
      [name, secret],
    ) => /** @type {const} */ ([`env ${name}`, `the secret ${secret}`])),
  ]);
}

/**
 * @param {string} name
 * @param {any} value
 * @returns {[string, string][]}
 */
function entries(name, value) {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return [];
  if (Array.isArray(value)) return [[name, value.map(itemText).join(" ")]];
  if (typeof value !== "object") return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => entries(`${name}.${key}`, inner));
}

/** @param {any} item */
function itemText(item) {
  if (typeof item !== "object" || item === null) return String(item);
  const { source, path, readOnly } = item; // a volume
  return path === undefined ? JSON.stringify(item) : `${source}:${path}${readOnly ? ":ro" : ""}`;
}

/** @param {string} id */
function short(id) {
  return id.replace("sha256:", "").slice(0, 12);
}
