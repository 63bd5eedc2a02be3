// @ts-check
/// <reference lib="dom" />
import { servicePath } from "./api.js";
import { tellingLine } from "./model/log_lines.js";

/** Why services fail, as far as their apps have written it. */

/** @import { Api } from "./api.js" */
/** @import { DeployJson } from "../../operations/deploys.ts" */
/** @import { RevisionJson } from "../../operations/revisions.ts" */

/**
 * The first revision with traffic that fails, with its output.
 *
 * @param {Api} api
 * @param {string} name
 * @returns {Promise<RevisionJson | undefined>}
 */
export async function failingRevision(api, name) {
  /** @type {RevisionJson[]} */
  const revisions = await api.get(servicePath(name, "revisions"));
  const failing = revisions.find(({ failure, percent }) => failure !== undefined && percent > 0) ??
    revisions.find(({ failure }) => failure !== undefined);
  return failing && await api.get(servicePath(name, "revisions", failing.name));
}

/**
 * The line that says the most of what the app wrote in a start or deploy that failed. There is none if it wrote
 * nothing.
 *
 * @param {Api} api
 * @param {string} name
 * @param {boolean} isDeploy Whether it is the last deploy that failed, and not a start
 * @returns {Promise<string>}
 */
export async function tellingLineOf(api, name, isDeploy) {
  if (!isDeploy) return tellingLine((await failingRevision(api, name))?.failure?.output ?? []);
  /** @type {DeployJson[]} */
  const deploys = await api.get(servicePath(name, "deploys"));
  return tellingLine(deploys.find(({ outcome }) => outcome !== "running")?.output ?? []);
}
