// @ts-check
/// <reference lib="dom" />
import { ApiError, servicePath } from "./api.js";
import { countText } from "./model/format.js";
import { changedSettings, settingsText } from "./model/idle_settings.js";
import { splitText } from "./model/shares.js";

/** Changes of a service, each with the way back. */

/** @import { Api } from "./api.js" */
/** @import { IdleSettings } from "./model/idle_settings.js" */
/** @import { ServiceJson } from "../../operations/services.ts" */
/** @typedef {Record<string, any>} Template */
/** @typedef {{ text: string, undo?: () => Promise<Done> }} Done */
/** @typedef {{ name: string, act: () => Promise<Done> }} Step */

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
 * @param {{ etag?: string | undefined, text?: string | undefined, backText?: string | undefined }} [options] `etag`: see
 * {@linkcode deploy}; the texts tell what the change and its way back have done, if not only that there is a revision
 * @returns {Promise<Done>}
 */
export async function changeTemplate(api, name, change, { etag, text, backText } = {}) {
  const { after, before, template = {} } = await deploy(api, name, (template = {}) => change(template), etag);
  const { latestRevision } = after;
  if (latestRevision === before?.latestRevision) return { text: `${latestRevision} is the latest already` };
  const back = { etag: after.etag, text: backText, backText: text };
  return { text: deployedText(after, text), undo: () => changeTemplate(api, name, () => template, back) };
}

/**
 * Deploys the latest revision's template with other idle times, and tells which: `docs: stop after 12 h → 1 h`.
 *
 * @param {Api} api
 * @param {string} name
 * @param {IdleSettings} before
 * @param {IdleSettings} after
 * @returns {Promise<Done>}
 */
export function changeIdleSettings(api, name, before, after) {
  const change = changedSettings(before, after);
  return changeTemplate(api, name, (template) => ({ ...template, ...change }), {
    text: `${name}: ${settingsText(before, after)}`,
    backText: `${name}: ${settingsText(after, before)}`,
  });
}

/**
 * What a deploy has done, and whether requests come to its revision: a pinned split leaves it without.
 *
 * @param {Pick<ServiceJson, "latestRevision" | "traffic">} service
 * @param {string} [text] That the revision is deployed, if nothing is given
 */
function deployedText({ latestRevision, traffic }, text = `${latestRevision} is deployed`) {
  return `${text}${hasRequests({ latestRevision, traffic }) ? "" : `, without traffic: ${splitText(traffic)}`}`;
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
 * @param {readonly Step[]} steps
 * @param {(at: number) => void} [begins] Called with the number of each step, from 1 on
 * @returns {Promise<Done>}
 */
export async function together(steps, begins = () => {}) {
  /** @type {Step[]} */
  const ways = [];
  /** @type {string[]} */
  const texts = [];
  /** @type {string[]} */
  const failures = [];
  for (const [at, { name, act }] of steps.entries()) {
    begins(at + 1);
    try {
      const { text, undo } = await act();
      texts.push(text);
      if (undo !== undefined) ways.push({ name, act: undo });
    } catch (error) {
      failures.push(`${name}: ${/** @type {Error} */ (error).message}`);
    }
  }
  const text = [
    ...texts.length > MAX_TEXTS ? [`${countText(texts.length, "service")} changed`] : [],
    ...texts.slice(0, MAX_TEXTS),
    ...texts.length > MAX_TEXTS ? [`and ${texts.length - MAX_TEXTS} more`] : [],
    ...failures.map((failure) => `not changed: ${failure}`),
  ].join("; ");
  return ways.length === 0 ? { text } : { text, undo: () => together(ways) };
}

/** So many changes are told one by one. */
const MAX_TEXTS = 3;

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
