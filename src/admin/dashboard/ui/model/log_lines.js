// @ts-check

/** Lines of the apps' output while they come: split from a stream, bounded in number, searched. */

/** @typedef {{ instance: string, revision: string, stream: "stdout" | "stderr", time?: string, text: string }} LogLine */

/** So many lines are kept; older ones go. */
export const MAX_LINES = 2000;

/** Splits the pieces of a stream of JSON lines. */
export class LineSplitter {
  #rest = "";

  /**
   * The lines that a piece completes. What is not JSON is skipped.
   *
   * @param {string} piece
   * @returns {LogLine[]}
   */
  push(piece) {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => {
      try {
        return line === "" ? [] : [JSON.parse(line)];
      } catch {
        return [];
      }
    });
  }
}

/**
 * The newest lines of all instances by their times, whatever instance they come from first. A line without a time stays
 * behind the one before it.
 *
 * @param {readonly LogLine[]} lines
 * @param {readonly LogLine[]} more
 */
export function merged(lines, more) {
  let last = "";
  return [...lines, ...more].map((line) => {
    // Its fraction may have any number of digits: without its end, the shorter one comes first.
    last = line.time?.replace(/Z$/, "") ?? last;
    return { line, at: last };
  }).sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0).map(({ line }) => line).slice(-MAX_LINES);
}

/**
 * The lines of an instance, or of all, that contain a text in any case.
 *
 * @param {readonly LogLine[]} lines
 * @param {string} text
 * @param {string} instance Empty for all
 */
export function matching(lines, text, instance) {
  const wanted = text.toLowerCase();
  if (wanted === "" && instance === "") return lines;
  return lines.filter((line) =>
    (instance === "" || line.instance === instance) && line.text.toLowerCase().includes(wanted)
  );
}

/**
 * A line without colours and other commands for terminals, and without characters that let text run backwards.
 *
 * @param {string} text
 */
export function plainText(text) {
  return text.replaceAll(ESCAPES, "").replaceAll(CONTROLS, "");
}

// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~])/g;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** What a line usually has that says why a program ended. */
const CAUSE = /fatal|panic|error|exception|denied|cannot|failed|not found|no such/i;

/**
 * The line of an app's output that most likely says why it ended: the last one with such a word, else the last one that
 * is not part of a stack trace, which is indented. Empty if there is none.
 *
 * @param {readonly string[]} output
 * @returns {string}
 */
export function tellingLine(output) {
  const lines = output.map(plainText).filter((line) => line.trim() !== "");
  const line = lines.findLast((line) => CAUSE.test(line)) ?? lines.findLast((line) => !/^\s/.test(line)) ??
    lines.at(-1);
  return line?.trim() ?? "";
}
