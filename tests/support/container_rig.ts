import { DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import type { EngineApi, LogLine, LogOptions } from "../../src/docker/engine_api.ts";
import { ImageSource } from "../../src/docker/images/image_source.ts";
import { systemClock } from "../../src/base/clock.ts";
import { Freezer } from "../../src/docker/freezer/freezer.ts";
import { Hibernator } from "../../src/docker/freezer/hibernator.ts";
import { DockerLauncher } from "../../src/docker/launcher.ts";
import { ContainerOutputs } from "../../src/docker/logs/outputs.ts";
import { Addresses } from "../../src/docker/network/addresses.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";
import { build, docker } from "./docker.ts";

const LIMITS = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: Infinity,
  stopHibernatedAfterMs: Infinity,
};
const APPLETS = ["cat", "env", "head", "seq", "sh", "sleep", "tr"];

/** An image with a shell: the machine's own busybox, where it is a static one, else a sample image. */
export async function shellImage(name: string): Promise<AsyncDisposable & { id: string }> {
  const which = await new Deno.Command("sh", { args: ["-c", "command -v busybox && ! ldd $(command -v busybox)"] })
    .output();
  const busybox = new TextDecoder().decode(which.stdout).split("\n")[0]!;
  if (!which.success || busybox === "") return build(name, "FROM python-docker\nENTRYPOINT []\nUSER 0");
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/root/bin`, { recursive: true });
  await Deno.copyFile(busybox, `${folder}/root/bin/busybox`);
  for (const applet of APPLETS) await Deno.symlink("busybox", `${folder}/root/bin/${applet}`);
  await new Deno.Command("tar", { args: ["-C", `${folder}/root`, "-cf", `${folder}/root.tar`, "."] }).output();
  const id = await docker("import", "--change=ENV PATH=/bin", `${folder}/root.tar`, name);
  await Deno.remove(folder, { recursive: true });
  return {
    id,
    async [Symbol.asyncDispose]() {
      await docker("rmi", "--force", name).catch(() => {}); // a test may have removed it itself
    },
  };
}

/** How an engine can be asked. */
export type Way = "command" | "socket";

/** The engine of this machine, or of a socket in DOCKER_HOST. @param command The docker command. */
export function realEngine(way: Way, command = "docker"): EngineApi {
  const socket = /^unix:\/\/(.+)/.exec(Deno.env.get("DOCKER_HOST") ?? "")?.[1] ?? "/var/run/docker.sock";
  return way === "socket" ? new SocketApi(socket) : new CommandApi(new DockerCommand(command));
}

/** A launcher with a network and an image of its own; everything goes away with it. */
export class Rig implements AsyncDisposable {
  readonly launcher: DockerLauncher;
  readonly image: AsyncDisposable & { id: string };
  readonly #network: OwnNetwork;
  readonly #owner: string;
  readonly #api: EngineApi;
  #count = 0;

  private constructor(image: AsyncDisposable & { id: string }, owner: string, api: EngineApi, command: string) {
    this.image = image;
    this.#owner = owner;
    this.#api = api;
    this.#network = new OwnNetwork(api, { owner, path: "/nowhere" });
    const images = new ImageSource(api, new DockerCommand(command));
    const addresses = new Addresses(this.#network, { portRange: { first: 29_000, last: 29_999 }, upstream: "auto" });
    const freezer = new Freezer(undefined, false, systemClock);
    this.launcher = new DockerLauncher(
      api,
      images,
      addresses,
      new ContainerOutputs(api, systemClock),
      freezer,
      new Hibernator(freezer, undefined, systemClock),
    );
  }

  /** The name of the service whose instances the containers are. */
  get service(): string {
    return this.#owner;
  }

  static async start(way: Way = "command", command = "docker"): Promise<Rig> {
    const owner = `e2e${crypto.randomUUID().slice(0, 8)}`;
    return new Rig(await shellImage(`${owner}-docker`), owner, realEngine(way, command), command);
  }

  /** Another launcher for the same containers, as the next process has it. */
  next(): DockerLauncher {
    return new Rig(this.image, this.#owner, this.#api, "docker").launcher;
  }

  /** Starts a container, and resolves with its name. */
  async run(extras: Partial<Revision>): Promise<string> {
    const id = `cless-${this.#owner}-${this.#count++}`;
    const revision = { ...conventionRevision(this.#owner, this.image.id, LIMITS), ...extras };
    await this.launcher.launch({ id, revision });
    return id;
  }

  /** Starts a container with a shell script, and resolves with its lines when it has ended. */
  async lines(script: string, extras: Partial<Revision> = {}, options: LogOptions = {}): Promise<LogLine[]> {
    const id = await this.run({ command: ["sh", "-c", script], ...extras });
    return await Array.fromAsync(this.launcher.outputs.read(id, { follow: true, ...options }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id } of await this.launcher.list()) await this.launcher.remove(id);
    await this.#network.remove();
    await this.image[Symbol.asyncDispose]();
    this.#api[Symbol.dispose]();
  }
}
