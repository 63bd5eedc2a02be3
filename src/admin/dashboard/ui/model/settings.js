// @ts-check
import { sizeText } from "./format.js";
import { flat } from "./template_diff.js";

/** How instances of a revision are started, line by line. */

/** @typedef {{ name: string, text: string, from?: string }} Setting `from`: where a limit comes from */

/**
 * The fields of the template, volumes with their paths, and the limits with where each comes from. Variables have a
 * screen of their own.
 *
 * @param {{
 *   template: Record<string, any>,
 *   limits: Record<string, { value: unknown, from: string }>,
 *   volumeNodes?: readonly { source: string, node: string }[] | undefined,
 * }} revision
 * @returns {Setting[]}
 */
export function settingsOf({ template, limits, volumeNodes = [] }) {
  const { env: _, secretEnv: __, volumes = [], ...others } = template;
  const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !Object.hasOwn(limits, name)));
  return [
    ...[...flat(rest)].map(([name, text]) => ({ name, text })),
    ...volumes.map((/** @type {any} */ { source, path, readOnly }) => {
      const node = volumeNodes.find((volume) => volume.source === source)?.node;
      const where = node === undefined ? "" : ` on the machine ${node}`;
      return { name: "volume", text: `${path}, from ${source}${where}${readOnly ? ", read only" : ""}` };
    }),
    ...Object.entries(limits).map(([name, { value, from }]) => ({ name, text: limitText(name, value), from })),
  ];
}

/** The limits of which 0 means that there is none; of the others, it means never. */
const AMOUNTS = ["concurrency", "memory", "cpus"];

/**
 * A limit in the words of `cless describe`: `never`, `no limit`, `256m`, `11.8 GiB`.
 *
 * @param {string} name
 * @param {unknown} value
 */
export function limitText(name, value) {
  if (Array.isArray(value)) return value.join(", ") || "none";
  if (AMOUNTS.includes(name) && Number(value) === 0) return "no limit";
  if (value === "0") return "never";
  // What is not given is computed from the machine's memory, and is no round number.
  const [, count, unit] = name === "memory" && /^(\d+)([bk])$/.exec(String(value)) || [];
  return unit === undefined ? String(value) : sizeText(Number(count) * (unit === "k" ? 1024 : 1));
}

/**
 * A field of a template as people call it: `Pause after` for `pauseAfter`. Names of variables stay as they are.
 *
 * @param {string} name
 */
export function fieldText(name) {
  if (name.startsWith("env ")) return name;
  if (name === "cpus") return "CPUs";
  const words = name.replaceAll(".", " ").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * A command of docker that opens a shell with the volumes of a service, each at its path, as `cless exec` tells it;
 * `undefined` without any.
 *
 * @param {readonly { source: string, path: string, readOnly?: boolean | undefined }[]} volumes
 */
export function volumeCommand(volumes) {
  if (volumes.length === 0) return undefined;
  const options = volumes.map(({ path, readOnly, source }) => ` -v ${source}:${path}${readOnly ? ":ro" : ""}`);
  return `docker run --rm -it${options.join("")} busybox`;
}
