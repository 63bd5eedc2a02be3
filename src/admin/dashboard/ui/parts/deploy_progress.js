// @ts-check

/** What a deploy is doing, from its events, in the words of `cless deploy`. */

/** @typedef {{ lines: readonly string[], live: string }} Progress `live`: what renews itself; empty for none */

/** @type {Progress} */
export const NO_PROGRESS = { lines: [], live: "" };

/**
 * The progress after an event. Events about other things leave it as it is.
 *
 * @param {Progress} progress
 * @param {{ type: string, data: Record<string, any> }} event
 * @returns {Progress}
 */
export function progressAfter(progress, { type, data }) {
  const line = (/** @type {string} */ text, live = "") => ({
    lines: progress.lines.at(-1) === text ? progress.lines : [...progress.lines, text],
    live,
  });
  switch (type) {
    case "revision.pulling": {
      const { done, image, total } = data;
      return line(`pulling ${image}`, total > 0 ? `${done} of ${total} layers` : "");
    }
    case "revision.starting":
      return line(`starting ${data["revision"]}`);
    case "revision.warning":
      return line(`warning: ${data["warning"]}`);
    case "revision.ready":
      return line(
        `${data["revision"]} is ready${Number.isFinite(data["ms"]) ? ` after ${Math.round(data["ms"])} ms` : ""}`,
      );
    case "service.waiting":
      return { ...progress, live: waitingText(data) };
    default:
      return progress;
  }
}

/**
 * Says what is waited for, and for how long: `12s: nothing listens on port 8080 of web-00002 yet; last line: loading`.
 *
 * @param {Record<string, any>} data Of the event, or `waiting` of a deploy, with `at` for now
 */
export function waitingText({ at, output, since, text }) {
  const passedS = Math.max(0, Math.floor((Date.parse(at) - Date.parse(since)) / 1000));
  const length = passedS < 60 ? `${passedS}s` : `${Math.floor(passedS / 60)}m ${passedS % 60}s`;
  return `${length}: ${text}${output === undefined ? "" : `; last line: ${output}`}`;
}
