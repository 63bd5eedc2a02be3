// @ts-check

/** The variables of a service while somebody edits them. */

/** @typedef {{ name: string, value: string, secret: boolean }} Variable The value of a secret is its name */

/**
 * The variables of a template, by name.
 *
 * @param {{ env?: Record<string, string> | undefined, secretEnv?: Record<string, string> | undefined }} template
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
 * Variables that somebody edits while others change them: what is edited stays in its place, and all else becomes as it
 * is now.
 *
 * @param {readonly Variable[]} edited
 * @param {readonly Variable[]} base What the edits began with
 * @param {readonly Variable[]} now
 * @returns {{ variables: Variable[], both: string[] }} `both`: what is edited here, and has changed to something else
 */
export function rebased(edited, base, now) {
  const named = (/** @type {readonly Variable[]} */ variables, /** @type {string} */ name) =>
    JSON.stringify(variables.filter((one) => one.name === name).map(({ value, secret }) => [value, secret]));
  const isEdited = (/** @type {string} */ name) => name === "" || named(edited, name) !== named(base, name);
  const changed = [...new Set([...base, ...edited].map(({ name }) => name))].filter((name) =>
    name !== "" && isEdited(name)
  );
  return {
    variables: [
      ...edited.flatMap((one) => isEdited(one.name) ? [one] : now.filter(({ name }) => name === one.name)),
      ...now.filter(({ name }) => !isEdited(name) && edited.every((one) => one.name !== name)),
    ],
    both: changed.filter((name) => ![named(base, name), named(edited, name)].includes(named(now, name))),
  };
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
