import type { DockerCommand } from "../../../src/docker/command.ts";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { TOOLS, versionOf } from "./tool.ts";

const PEER_NAMES = { go: "Go", caddy: "Caddy", haproxy: "HAProxy", nginx: "nginx" } as const;

/** One line that says what the figures were taken on, and when. */
export async function describeMachine(docker: DockerCommand): Promise<string> {
  const cpu = /^model name\s*: (.+)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "unknown CPU";
  const version = await new CommandApi(docker).version();
  const peers = await Promise.all(
    Object.entries(PEER_NAMES).map(async ([tool, name]) => {
      const version = await versionOf(TOOLS[tool as keyof typeof PEER_NAMES]);
      return version === undefined ? `no ${name}` : `${name} ${version}`;
    }),
  );
  return [
    `${cpu}, ${navigator.hardwareConcurrency} cores`,
    `Linux ${Deno.osRelease()}`,
    `Deno ${Deno.version.deno}`,
    `Docker ${version}`,
    ...peers,
    new Date().toISOString().slice(0, 10),
  ].join("; ");
}
