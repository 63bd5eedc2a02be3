// @ts-check
/// <reference lib="dom" />
import { ApiError, servicePath } from "./api.js";
import { splitText } from "./shares.js";

/** Changes of a service, each with the way back. */

/** @import { Api } from "./api.js" */
/** @import { ServiceJson } from "../../operations/services.ts" */
/** @typedef {Record<string, any>} Template */
/** @typedef {{ text: string, undo?: () => Promise<Done> }} Done */

/**
 * Makes a service, or a new revision of one, based on its present state. Tries again if somebody else has changed it
 * meanwhile.
 *
 * @param {Api} api
 * @param {string} name
 * @param {(template: Template | undefined) => Record<string, any>} change Makes the request's body from the latest
 * revision's template, which is `undefined` for a new service
 * @returns {Promise<{ before: ServiceJson | undefined, after: ServiceJson, template: Template | undefined }>}
 */
export async function deploy(api, name, change) {
  for (let tries = 1;; tries++) {
    const before = await api.find(servicePath(name));
    const revision = before && await api.get(servicePath(name, "revisions", before.latestRevision));
    try {
      const body = change(revision?.template);
      const after = await api.json("PUT", servicePath(name), { body, ifMatch: before?.etag });
      return { before, after, template: revision?.template };
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412) || tries === MAX_TRIES) throw error;
    }
  }
}

const MAX_TRIES = 4;

/**
 * Deploys the latest revision's template with a change. The way back is a deploy of the template as it was.
 *
 * @param {Api} api
 * @param {string} name
 * @param {(template: Template) => Template} change
 * @returns {Promise<Done>}
 */
export async function changeTemplate(api, name, change) {
  const { after, before, template = {} } = await deploy(api, name, (template = {}) => change(template));
  const { latestRevision } = after;
  if (latestRevision === before?.latestRevision) return { text: `${latestRevision} is the latest already` };
  return { text: `${latestRevision} is deployed`, undo: () => changeTemplate(api, name, () => template) };
}

/**
 * Replaces the split of a service. The way back is the split as it was.
 *
 * @param {Api} api
 * @param {Pick<ServiceJson, "name" | "traffic" | "etag">} service As the reader knows it
 * @param {readonly import("./shares.js").Target[]} traffic
 * @returns {Promise<Done>}
 */
export async function setTraffic(api, { name, traffic: before, etag }, traffic) {
  const after = await api.json("PUT", servicePath(name, "traffic"), { body: traffic, ifMatch: etag });
  return { text: `traffic: ${splitText(after.traffic)}`, undo: () => setTraffic(api, after, before) };
}

/**
 * Undoes the last change of a service's traffic. A second rollback undoes the first.
 *
 * @param {Api} api
 * @param {string} name
 * @returns {Promise<Done>}
 */
export async function rollBack(api, name) {
  const after = await api.json("POST", servicePath(name, "rollback"));
  return { text: `traffic: ${splitText(after.traffic)}`, undo: () => rollBack(api, name) };
}
