// @ts-check
/// <reference lib="dom" />
import { changeService, servicePath } from "./api.js";
import { splitText } from "./shares.js";

/** Changes of a service, each with the way back. */

/** @import { Api } from "./api.js" */
/** @import { ServiceJson } from "../../operations/services.ts" */
/** @typedef {Record<string, any>} Template */
/** @typedef {{ text: string, undo?: () => Promise<Done> }} Done */

/**
 * Deploys the latest revision's template with a change. The way back is a deploy of the template as it was.
 *
 * @param {Api} api
 * @param {string} name
 * @param {(template: Template) => Template} change
 * @returns {Promise<Done>}
 */
export function changeTemplate(api, name, change) {
  return changeService(api, name, async (before) => {
    const { template } = await api.get(servicePath(name, "revisions", before.latestRevision));
    /** @type {ServiceJson} */
    const after = await api.json("PUT", servicePath(name), { body: change(template), ifMatch: before.etag });
    if (after.latestRevision === before.latestRevision) {
      return { text: `${after.latestRevision} is the latest already` };
    }
    return {
      text: `${after.latestRevision} is deployed`,
      undo: () => changeTemplate(api, name, () => template),
    };
  });
}

/**
 * Replaces the split of a service. The way back is a rollback.
 *
 * @param {Api} api
 * @param {string} name
 * @param {import("./shares.js").Target[]} traffic
 * @param {string | undefined} etag The service as the reader knows it
 * @returns {Promise<Done>}
 */
export async function setTraffic(api, name, traffic, etag) {
  const after = await api.json("PUT", servicePath(name, "traffic"), { body: traffic, ifMatch: etag });
  return { text: `traffic: ${splitText(after.traffic)}`, undo: () => rollBack(api, name) };
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
