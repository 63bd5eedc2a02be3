// @ts-check
import { flat } from "./template_diff.js";

/** How instances of a revision are started, line by line. */

/** @typedef {{ name: string, text: string, from?: string }} Setting `from`: where a limit comes from */

/**
 * The fields of the template, volumes with their paths, and the limits with where each comes from. Variables have a
 * screen of their own.
 *
 * @param {{ template: Record<string, any>, limits: Record<string, { value: unknown, from: string }> }} revision
 * @returns {Setting[]}
 */
export function settingsOf({ template, limits }) {
  const { env: _, secretEnv: __, volumes = [], ...others } = template;
  const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !Object.hasOwn(limits, name)));
  return [
    ...[...flat(rest)].map(([name, text]) => ({ name, text })),
    ...volumes.map((/** @type {any} */ { source, path, readOnly }) => ({
      name: "volume",
      text: `${path}, from ${source}${readOnly ? ", read only" : ""}`,
    })),
    ...Object.entries(limits).map(([name, { value, from }]) => ({ name, text: limitText(name, value), from })),
  ];
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function limitText(name, value) {
  if (Array.isArray(value)) return value.join(" ") || "none";
  if (/(After|Timeout)$/.test(name) && /^0[a-z]*$/.test(`${value}`)) return "never";
  if (/^(concurrency|memory|cpus)$/.test(name) && /^0[a-z]*$/.test(`${value}`)) return "no limit";
  return String(value);
}
