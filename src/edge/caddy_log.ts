/** A line of Caddy's log. */
export interface CaddyLine {
  readonly level: "debug" | "info" | "warning" | "error";
  /** When it was written, ms since 1970; `undefined` if it does not say. */
  readonly at?: number;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LEVELS: Readonly<Record<string, CaddyLine["level"]>> = { debug: "debug", info: "info", warn: "warning" };

/**
 * Reads a line of Caddy's log, which is JSON: https://caddyserver.com/docs/logging. What Caddy says when it cannot start
 * is plain text.
 */
export function readLine(line: string): CaddyLine {
  const parsed = parseJson(line);
  if (parsed === undefined) {
    return { level: line.startsWith("Error:") ? "error" : "info", message: line.replace(/^Error: /, ""), fields: {} };
  }
  const { level, msg, ts, ...fields } = parsed;
  const at = typeof ts === "number" ? { at: Math.round(ts * 1000) } : {};
  return { level: LEVELS[String(level)] ?? "error", ...at, message: String(msg), fields };
}

function parseJson(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The last line that tells of an error, as one text; `undefined` if there is none. */
export function lastError(lines: readonly string[]): string | undefined {
  const last = lines.map(readLine).findLast(({ level }) => level === "error");
  if (last === undefined) return undefined;
  const { error } = last.fields;
  return error === undefined ? last.message : `${last.message}: ${error}`;
}
