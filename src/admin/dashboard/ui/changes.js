// @ts-check
/// <reference lib="dom" />
import { ApiError, servicePath } from "./api.js";
import { countText } from "./model/format.js";
import { splitText } from "./model/shares.js";

/** Changes of a service, each with the way back. */

/** @import { Api } from "./api.js" */
/** @import { ServiceJson } from "../../operations/services.ts" */
/** @typedef {Record<string, any>} Template */
/** @typedef {{ text: string, undo?: () => Promise<Done> }} Done */

/**
 * Makes a service, or a new revision of one, based on its present state. Tries again if somebody else has changed it
 * meanwhile, unless it must be as the reader knows it.
 *
 * @param {Api} api
 * @param {string} name
 * @param {(template: Template | undefined) => Record<string, any>} change Makes the request's body from the latest
 * revision's template, which is `undefined` for a new service
 * @param {string} [etag] The service as the reader knows it: if it has changed since, nothing is done
 * @returns {Promise<{ before: ServiceJson | undefined, after: ServiceJson, template: Template | undefined }>}
 */
export async function deploy(api, name, change, etag) {
  for (let tries = 1;; tries++) {
    const before = await api.find(servicePath(name));
    const revision = before && await api.get(servicePath(name, "revisions", before.latestRevision));
    try {
      const body = change(revision?.template);
      const after = await api.json("PUT", servicePath(name), { body, ifMatch: etag ?? before?.etag });
      return { before, after, template: revision?.template };
    } catch (error) {
      const isStale = error instanceof ApiError && error.status === 412;
      if (!isStale || etag !== undefined || tries === MAX_TRIES) throw error;
    }
  }
}

const MAX_TRIES = 4;

/**
 * Deploys the latest revision's template with a change. The way back is a deploy of the template as it was, which leaves
 * alone what somebody else has changed since.
 *
 * @param {Api} api
 * @param {string} name
 * @param {(template: Template) => Template} change
 * @param {string} [etag] See {@linkcode deploy}
 * @returns {Promise<Done>}
 */
export async function changeTemplate(api, name, change, etag) {
  const { after, before, template = {} } = await deploy(api, name, (template = {}) => change(template), etag);
  const { latestRevision } = after;
  if (latestRevision === before?.latestRevision) return { text: `${latestRevision} is the latest already` };
  return { text: deployedText(after), undo: () => changeTemplate(api, name, () => template, after.etag) };
}

/**
 * That a revision is deployed, and whether requests come to it: a pinned split leaves it without.
 *
 * @param {Pick<ServiceJson, "latestRevision" | "traffic">} service
 */
function deployedText({ latestRevision, traffic }) {
  return `${latestRevision} is deployed${
    hasRequests({ latestRevision, traffic }) ? "" : `, without traffic: ${splitText(traffic)}`
  }`;
}

/** @param {Pick<ServiceJson, "latestRevision" | "traffic">} service */
function hasRequests({ latestRevision, traffic }) {
  return traffic.some(({ percent, revision }) => percent > 0 && ["latest", latestRevision].includes(revision));
}

/**
 * What a deploy has done. The way back is the split as it was, if the deploy has changed it.
 *
 * @param {Api} api
 * @param {ServiceJson | undefined} before
 * @param {ServiceJson} after
 * @returns {Done}
 */
export function deployed(api, before, after) {
  const text = deployedText(after);
  return before === undefined || !hasRequests(after) ? { text } : { text, undo: () => rollBack(api, after) };
}

/**
 * Replaces the split of a service. The way back is the split as it was.
 *
 * @param {Api} api
 * @param {Pick<ServiceJson, "name" | "traffic" | "etag">} service As the reader knows it
 * @param {readonly import("./model/shares.js").Target[]} traffic
 * @returns {Promise<Done>}
 */
export async function setTraffic(api, { name, traffic: before, etag }, traffic) {
  const after = await api.json("PUT", servicePath(name, "traffic"), { body: traffic, ifMatch: etag });
  return { text: `traffic: ${splitText(after.traffic)}`, undo: () => setTraffic(api, after, before) };
}

/**
 * Makes changes of several services, one after the other. One that fails does not keep the others from being made. The
 * way back undoes those that were made.
 *
 * @param {readonly { name: string, act: () => Promise<Done> }[]} steps
 * @param {(at: number) => void} [begins] Called with the number of each step, from 1 on
 * @returns {Promise<Done>}
 */
export async function together(steps, begins = () => {}) {
  /** @type {{ name: string, act: () => Promise<Done> }[]} */
  const ways = [];
  /** @type {string[]} */
  const failures = [];
  for (const [at, { name, act }] of steps.entries()) {
    begins(at + 1);
    try {
      const { undo } = await act();
      if (undo !== undefined) ways.push({ name, act: undo });
    } catch (error) {
      failures.push(`${name}: ${/** @type {Error} */ (error).message}`);
    }
  }
  const made = countText(steps.length - failures.length, "service");
  const text = `${made} changed${failures.length === 0 ? "" : `; not changed: ${failures.join("; ")}`}`;
  return ways.length === 0 ? { text } : { text, undo: () => together(ways) };
}

/**
 * Undoes the last change of a service's traffic. A second rollback undoes the first.
 *
 * @param {Api} api
 * @param {Pick<ServiceJson, "name" | "etag">} service As the reader knows it
 * @returns {Promise<Done>}
 */
export async function rollBack(api, { name, etag }) {
  const after = await api.json("POST", servicePath(name, "rollback"), { ifMatch: etag });
  return { text: `traffic: ${splitText(after.traffic)}`, undo: () => rollBack(api, after) };
}
