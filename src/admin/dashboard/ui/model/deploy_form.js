// @ts-check

/** The form of a deploy, and the request that it stands for. */

/**
 * What is typed; an empty text leaves a field as it is, or at its default.
 *
 * @typedef {object} DeployForm
 * @property {string} name
 * @property {string} image
 * @property {string} port
 * @property {string} env Variables to set, a line KEY=VALUE each
 * @property {string} memory
 * @property {string} concurrency
 * @property {string} minInstances
 * @property {string} maxInstances
 * @property {string} traffic
 * @property {string} tag
 */
/** @typedef {keyof DeployForm} FormField */
/** @typedef {{ field: string, reason: string }} FieldError */

const NUMBERS = /** @type {const} */ (["port", "concurrency", "minInstances", "maxInstances", "traffic"]);
const TEXTS = /** @type {const} */ (["image", "memory", "tag"]);

/**
 * The form for a service: for a new one, with the defaults.
 *
 * @param {string} name
 * @param {Record<string, any> | undefined} template The latest revision's
 * @returns {DeployForm}
 */
export function formOf(name, template) {
  const { concurrency = 0, image = "", maxInstances = 1, memory = "", minInstances = 0, port = 8080 } = template ?? {};
  return {
    ...{ name, image, memory, env: "", traffic: "", tag: "", port: String(port) },
    ...{ concurrency: String(concurrency), minInstances: String(minInstances), maxInstances: String(maxInstances) },
  };
}

/**
 * The form once a service of the typed name is known: what is typed stays, the rest is as that service has it.
 *
 * @param {DeployForm} form
 * @param {DeployForm} base The form before anything was typed
 * @param {DeployForm} there The form of that service
 * @returns {DeployForm}
 */
export function takenOver(form, base, there) {
  const typed = Object.entries(form).filter(([field, text]) => text !== base[/** @type {FormField} */ (field)]);
  return { ...there, ...Object.fromEntries(typed) };
}

/**
 * The body of the request: the latest revision's template with what is typed. What is not a number is sent as it is, so
 * that the API says what is wrong.
 *
 * @param {DeployForm} form
 * @param {Record<string, any> | undefined} template The latest revision's
 * @returns {Record<string, any>}
 */
export function bodyOf(form, template = {}) {
  const { env: before = {}, memory: _, secretEnv = {}, ...fields } = template;
  const { variables } = readVariables(form.env);
  const numbers = NUMBERS.filter((field) => form[field].trim() !== "").map((field) => [field, numberIn(form[field])]);
  const texts = TEXTS.filter((field) => form[field].trim() !== "").map((field) => [field, form[field].trim()]);
  return {
    ...fields,
    ...Object.fromEntries([...numbers, ...texts]),
    env: { ...before, ...variables },
    // A variable has either a value or a secret: the new one replaces the old one.
    secretEnv: Object.fromEntries(Object.entries(secretEnv).filter(([name]) => !Object.hasOwn(variables, name))),
  };
}

/** The fields as the form calls them. */
export const LABELS = {
  ...{ name: "Name", image: "Image", env: "Variables to set", port: "Port", memory: "Memory", tag: "Tag" },
  ...{ concurrency: "Concurrency", minInstances: "Min instances", maxInstances: "Max instances" },
  traffic: "Traffic percent",
};

/**
 * What is wrong with a field, in the words of the form.
 *
 * @param {FieldError} error
 */
export function reasonText({ field, reason }) {
  const text = Object.entries(LABELS).reduce(
    (text, [name, label]) => /[A-Z]/.test(name) ? text.replaceAll(name, label) : text,
    reason,
  );
  const [first = "", ...rest] = field.split(".");
  return /^(env|secretEnv)$/.test(first) && rest.length > 0 ? `${rest.join(".")}: ${text}` : text;
}

/**
 * All that is wrong: what the form found, and what the API says about other fields.
 *
 * @param {readonly FieldError[]} faults
 * @param {readonly FieldError[]} refused
 * @returns {FieldError[]}
 */
export function allFaults(faults, refused) {
  const found = new Set(faults.map(({ field }) => field));
  return [...faults, ...refused.filter(({ field }) => fieldOf(field) !== undefined && !found.has(field))];
}

/**
 * What is wrong with the form and cannot be sent.
 *
 * @param {DeployForm} form
 * @returns {FieldError[]}
 */
export function faultsOf(form) {
  const { faults } = readVariables(form.env);
  return [
    ...(form.name.trim() === "" ? [{ field: "name", reason: "is missing" }] : []),
    ...(form.image.trim() === "" ? [{ field: "image", reason: "is missing" }] : []),
    ...faults.map((reason) => ({ field: "env", reason })),
  ];
}

/**
 * The field of the form at which an error is shown; `undefined` if it belongs to none.
 *
 * @param {string} field As the API names it: `env.A`
 * @returns {FormField | undefined}
 */
export function fieldOf(field) {
  const parts = field.split(".");
  const first = /^\d+$/.test(parts[0] ?? "") ? parts[1] ?? "" : parts[0] ?? ""; // `0.tag`, of the split
  const fields = ["name", "env", ...NUMBERS, ...TEXTS];
  if (first === "secretEnv") return "env";
  return fields.includes(first) ? /** @type {FormField} */ (first) : undefined;
}

/** @param {string} text */
function readVariables(text) {
  /** @type {Record<string, string>} */
  const variables = {};
  /** @type {string[]} */
  const faults = [];
  text.split(/\r?\n/).forEach((line, at) => {
    if (/^\s*(#|$)/.test(line)) return;
    const [, name = "", value] = /^\s*(?:export\s+)?([^=]*)=(.*)$/.exec(line) ?? [];
    if (value === undefined) faults.push(`line ${at + 1}: expected KEY=VALUE`);
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      faults.push(`line ${at + 1}: the name before = may only have letters, digits and _, and no digit first`);
    } else variables[name] = /^\s*(["'])(.*)\1\s*$/.exec(value)?.[2] ?? value;
  });
  return { variables, faults };
}

/** @param {string} text */
function numberIn(text) {
  return /^\s*-?\d+(\.\d+)?\s*$/.test(text) ? Number(text) : text.trim();
}
