import { isAbsolute } from "node:path";
import { messageOf, plainMessageOf } from "../base/errors.ts";

const decoder = new TextDecoder();
/** The oldest version that understands the Caddyfile. */
const OLDEST = [2, 6] as const;

/** Caddy on this machine. */
export interface Caddy {
  /** Its absolute path. */
  readonly path: string;
  readonly version: string;
}

/**
 * Finds Caddy. Returns what is wrong, and what to do, as a text.
 *
 * @param program Its name or path. @param searchPath The value of `PATH`.
 */
export async function findCaddy(program: string, searchPath: string): Promise<Caddy | string> {
  const path = await absolutePathOf(program, searchPath);
  if (path === undefined) {
    return program === "caddy"
      ? "Caddy is not installed: apt-get install caddy, or name it with --caddy"
      : `there is no program ${program}; name Caddy with --caddy`;
  }
  try {
    const { stdout, success } = await new Deno.Command(path, { args: ["version"], stdin: "null", stderr: "null" })
      .output();
    const text = decoder.decode(stdout).trim();
    const version = /^v?(\d+\.\d+\.\d+\S*)/.exec(text)?.[1];
    if (!success || version === undefined) return `${path} is not Caddy: ${path} version prints no version`;
    if (isTooOld(version)) return `${path} is Caddy ${version}, and cless needs ${OLDEST.join(".")} or later`;
    return { path, version };
  } catch (error) {
    return `${path} cannot be run: ${plainMessageOf(error)}`;
  }
}

/** Whether Caddy of this version does not understand the Caddyfile. */
export function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** The absolute path of a program; `undefined` if there is none. @param searchPath The value of `PATH`. */
export async function absolutePathOf(program: string, searchPath: string): Promise<string | undefined> {
  const folders = searchPath.split(":").filter(isAbsolute);
  const candidates = program.includes("/") ? [program] : folders.map((folder) => `${folder}/${program}`);
  for (const candidate of candidates) {
    const path = await Deno.realPath(candidate).catch(() => undefined);
    if (path === undefined) continue;
    const { isFile, mode } = await Deno.stat(path);
    // Not the real path: a link may lead to one program for several names.
    if (isFile && ((mode ?? 0) & 0o111) !== 0) return isAbsolute(candidate) ? candidate : path;
  }
  return undefined;
}

/** What Caddy finds wrong with a Caddyfile; `undefined` if nothing. It loads the files that are named in it. */
export async function validate(caddy: string, caddyfile: string, env: Record<string, string>) {
  const args = ["validate", "--config", caddyfile, "--adapter", "caddyfile"];
  try {
    const { stderr, success } = await new Deno.Command(caddy, { args, env, stdin: "null", stdout: "null" }).output();
    return success ? undefined : lastError(decoder.decode(stderr).split("\n")) ?? "it does not say why";
  } catch (error) {
    return messageOf(error);
  }
}

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
