import { defaultDataDir, type Surroundings } from "../base/config.ts";

/** The folder in which `cless https run` keeps its files by default. */
export function defaultStorage(surroundings: Surroundings): string {
  return `${defaultDataDir(surroundings)}-edge`;
}

/**
 * Where cless listens behind a `cless https run` that keeps its files in a folder, such as `127.0.0.1:8080`; `undefined`
 * if none has ever used the folder. It may not be running.
 */
export async function upstreamIn(storage: string): Promise<string | undefined> {
  const caddyfile = await Deno.readTextFile(`${storage}/Caddyfile`).catch(() => "");
  return /^\s*reverse_proxy (\S+) \{$/m.exec(caddyfile)?.[1];
}
