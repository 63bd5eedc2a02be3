import { isAbsolute } from "node:path";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { lastError } from "./caddy_log.ts";

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
export async function validate(
  caddy: string,
  caddyfile: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  const args = ["validate", "--config", caddyfile, "--adapter", "caddyfile"];
  try {
    const { stderr, success } = await new Deno.Command(caddy, { args, env, stdin: "null", stdout: "null" }).output();
    return success ? undefined : lastError(decoder.decode(stderr).split("\n")) ?? "it does not say why";
  } catch (error) {
    return messageOf(error);
  }
}
