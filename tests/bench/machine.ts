import type { DockerCommand } from "../../src/docker/command.ts";
import { findEngine } from "../../src/docker/engine.ts";
import { TOOLS, versionOf } from "./tool.ts";

/** One line that says what the figures were taken on, and when. */
export async function describeMachine(docker: DockerCommand): Promise<string> {
  const cpu = /^model name\s*: (.+)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "unknown CPU";
  const [engine, go, caddy] = await Promise.all([findEngine(docker), versionOf(TOOLS.go), versionOf(TOOLS.caddy)]);
  return [
    `${cpu}, ${navigator.hardwareConcurrency} cores`,
    `Linux ${Deno.osRelease()}`,
    `Deno ${Deno.version.deno}`,
    `Docker ${engine.version}`,
    go === undefined ? "no Go" : `Go ${go}`,
    caddy === undefined ? "no Caddy" : `Caddy ${caddy}`,
    new Date().toISOString().slice(0, 10),
  ].join("; ");
}
