import { type CommandOptions, DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import { ImageSource } from "../../src/docker/images/image_source.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Upstream } from "../../src/base/config.ts";
import { Freezer } from "../../src/docker/freezer/freezer.ts";
import { Hibernator } from "../../src/docker/freezer/hibernator.ts";
import { DockerLauncher } from "../../src/docker/launcher.ts";
import { ContainerOutputs } from "../../src/docker/logs/outputs.ts";
import { Addresses } from "../../src/docker/network/addresses.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { conventionRevision } from "../../src/model/revision.ts";
import type { Answer, FakeDocker } from "../support/fake_docker.ts";

export const OWNER = "a1b2c3d4";
export const NETWORK = `cless-${OWNER}`;
export const ID = "0123456789abcdef".repeat(4);
export const REVISION = conventionRevision("golang", `sha256:${ID}`, {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: 600_000,
  stopHibernatedAfterMs: 600_000,
});

/** How `docker run` fails with a message. */
export function refused(reason: string): Answer {
  return {
    stdout: `${ID}\n`,
    stderr: `docker: Error response from daemon: ${reason}.\nSee 'docker run --help'.`,
    code: 125,
  };
}

export const ADDRESS_TAKEN = refused("Address already in use");
export const NO_NETWORK = refused(`network ${NETWORK} not found`);

/** A launcher on an engine that has its network already. */
export async function newLauncher(
  docker: FakeDocker,
  options: {
    readonly command?: DockerCommand;
    readonly upstream?: Upstream;
    readonly now?: () => number;
    readonly freezer?: Freezer;
  } = {},
  subnet = "10.9.0.0/24",
) {
  await docker.on("network ls", `${ID}\n`);
  await docker.on("network inspect", JSON.stringify({ Name: NETWORK, IPAM: { Config: [{ Subnet: subnet }] } }));
  await docker.on("run", `${ID}\n`);
  await docker.on("rm", "one\n");
  const { command = docker.command, upstream = "direct", now } = options;
  const { freezer = new Freezer(undefined, false, systemClock) } = options;
  const api = new CommandApi(command);
  const network = new OwnNetwork(api, { owner: OWNER, path: "/data" });
  const portRange = { first: 20_000, last: 29_999 };
  const images = new ImageSource(api, command);
  const addresses = new Addresses(network, { portRange, upstream });
  const hibernator = new Hibernator(freezer, undefined, systemClock);
  return new DockerLauncher(api, images, addresses, new ContainerOutputs(api, systemClock, now), freezer, hibernator);
}

/** A docker command whose calls can be waited for, also those that the launcher does not wait for. */
export class WatchedCommand extends DockerCommand {
  readonly calls: Promise<string>[] = [];

  override run(args: readonly string[], options?: CommandOptions): Promise<string> {
    const call = super.run(args, options);
    this.calls.push(call);
    return call;
  }
}

/** What the engine was asked to do with containers, without the arguments of `docker run`. */
export async function asked(docker: FakeDocker): Promise<string[]> {
  const calls = await docker.calls();
  return calls.filter(([verb]) => verb !== "network").map((args) => args[0] === "run" ? "run" : args.join(" "));
}

/** The addresses that containers were started with. */
export async function addresses(docker: FakeDocker): Promise<string[]> {
  return (await docker.calls("run")).map((args) => args.find((arg) => arg.startsWith("--ip="))!.slice(5));
}
