// @ts-check

/** The variables of a service while somebody edits them. */

/** @typedef {{ name: string, value: string, secret: boolean }} Variable The value of a secret is its name */

/**
 * The variables of a template, by name.
 *
 * @param {{ env?: Record<string, string>, secretEnv?: Record<string, string> }} template
 * @returns {Variable[]}
 */
export function variablesOf({ env = {}, secretEnv = {} }) {
  return [
    ...Object.entries(env).map(([name, value]) => ({ name, value, secret: false })),
    ...Object.entries(secretEnv).map(([name, value]) => ({ name, value, secret: true })),
  ].sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * The fields of a template that variables stand for. Those without a name are left out.
 *
 * @param {readonly Variable[]} variables
 */
export function templateFields(variables) {
  const named = variables.filter(({ name }) => name !== "");
  const fields = (/** @type {boolean} */ secret) =>
    Object.fromEntries(named.filter((one) => one.secret === secret).map(({ name, value }) => [name, value]));
  return { env: fields(false), secretEnv: fields(true) };
}

/**
 * What is wrong with the variables, before they are sent; `undefined` if nothing is.
 *
 * @param {readonly Variable[]} variables
 */
export function problemOf(variables) {
  const names = variables.map(({ name }) => name).filter((name) => name !== "");
  const twice = names.find((name, at) => names.indexOf(name) < at);
  return twice === undefined ? undefined : `${twice} is there twice`;
}
