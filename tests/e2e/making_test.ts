import { assertEquals, assertRejects } from "@std/assert";
import type { Placement } from "../../src/docker/container_spec.ts";
import type { EngineApi } from "../../src/docker/engine_api.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";
import { realEngine, type Way } from "../support/container_rig.ts";
import { docker, noDocker } from "../support/docker.ts";

const LIMITS = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: Infinity,
  stopHibernatedAfterMs: Infinity,
};
const SUBNET = "10.213.79";

/** Makes containers in both ways, on a network of its own; everything goes away with it. */
class BothWays implements AsyncDisposable {
  /** Also the name of a volume that containers may have. */
  readonly owner = `e2e${crypto.randomUUID().slice(0, 8)}`;
  readonly #network = `cless-${this.owner}`;
  readonly #apis: Record<Way, EngineApi> = { command: realEngine("command"), socket: realEngine("socket") };
  readonly #made: string[] = [];

  static async start(): Promise<BothWays> {
    const ways = new BothWays();
    const subnet = { subnet: `${SUBNET}.0/24`, gateway: `${SUBNET}.1` };
    await ways.#apis.socket.createNetwork({ name: ways.#network, ...subnet, labels: {} });
    return ways;
  }

  /** A revision of a sample image. */
  async revision(extras: Partial<Revision>): Promise<Revision> {
    const imageId = await docker("image", "inspect", "--format={{.Id}}", "golang-docker");
    return { ...conventionRevision(this.owner, imageId, LIMITS), ...extras };
  }

  /** Makes and starts a container, and resolves with its name. */
  async run(way: Way, revision: Revision, hostPort?: number): Promise<string> {
    const id = `cless-${this.owner}-${this.#made.length}-${way}`;
    this.#made.push(id);
    await this.#apis[way].run(revision, this.#place(id, hostPort));
    return id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker("rm", "--force", "--volumes", ...this.#made).catch(() => {});
    await docker("volume", "rm", "--force", this.owner);
    await this.#apis.socket.removeNetwork(this.#network);
    for (const api of Object.values(this.#apis)) api[Symbol.dispose]();
  }

  #place(id: string, hostPort: number | undefined): Placement {
    const address = `${SUBNET}.${this.#made.length + 1}`;
    const origin = hostPort === undefined ? `http://${address}:8080` : `http://127.0.0.1:${hostPort}`;
    return { id, owner: this.owner, network: this.#network, address, hostPort, origin };
  }
}

/** What differs between any two containers of one kind. */
const OWN = new RegExp(
  [
    /^\.(Id|Name|Created|ResolvConfPath|HostnamePath|HostsPath|LogPath)$/,
    /^\.State\.(Pid|StartedAt)$/,
    /^\.Config\.Hostname$/,
    /^\.Config\.Labels\.cless\.(address|origin)$/,
    /^\.GraphDriver\.Data\./,
    /^\.NetworkSettings\.(SandboxID|SandboxKey)$/,
    /^\.NetworkSettings\.Networks\.[^.]+\.(EndpointID|MacAddress|IPAddress|IPAMConfig\.IPv4Address|DNSNames\.\d+)$/,
    /^\.(HostConfig\.PortBindings|NetworkSettings\.Ports)\.8080\/tcp\.0\.HostPort$/,
  ].map(({ source }) => source).join("|"),
);

/** Every single value of what `docker inspect` tells, by its place; but for those that are a container's own. */
async function fieldsOf(id: string): Promise<Record<string, unknown>> {
  const [inspected] = JSON.parse(await docker("inspect", id));
  inspected.Config.Env.sort();
  // In an order of the engine's own, which changes.
  inspected.Mounts.sort((a: { Destination: string }, b: { Destination: string }) =>
    a.Destination < b.Destination ? -1 : 1
  );
  const fields: Record<string, unknown> = {};
  const walk = (value: unknown, place: string) => {
    if (OWN.test(place)) fields[place] = typeof value;
    else if (typeof value !== "object") fields[place] = value;
    else if (Object.keys(value ?? {}).length === 0) fields[place] = null; // nothing said, and an empty list, are one
    else for (const [key, inner] of Object.entries(value!)) walk(inner, `${place}.${key}`);
  };
  walk(inspected, "");
  return fields;
}

Deno.test(
  { name: "a container is the same, whether the socket makes it or the command", ignore: noDocker },
  async (t) => {
    await using ways = await BothWays.start();
    const folder = await Deno.makeTempDir();
    const kinds: Record<string, { extras: Partial<Revision>; ports?: [number, number] }> = {
      "as the convention has it": { extras: {} },
      "with all that there is": {
        extras: {
          command: ["/server", "--flag", 'a "quoted" word'],
          env: { PLAIN: " spaces ", PEM: "two\nlines", "DOTTED.name": "ü=\u{1f600}", EMPTY: "", PORT: "8080" },
          memoryBytes: 128 * 1024 * 1024,
          cpus: 0.3,
          volumes: [
            { source: ways.owner, path: "/data", readOnly: false },
            { source: folder, path: "/site", readOnly: true },
            { source: folder, path: "/more", readOnly: false },
          ],
        },
      },
      "with a published port": { extras: {}, ports: [28_101, 28_102] },
    };
    for (const [name, { extras, ports = [] }] of Object.entries(kinds)) {
      await t.step(name, async () => {
        const revision = await ways.revision(extras);
        const byCommand = await fieldsOf(await ways.run("command", revision, ports[0]));
        assertEquals(await fieldsOf(await ways.run("socket", revision, ports[1])), byCommand);
      });
    }
    await Deno.remove(folder);
  },
);

Deno.test({ name: "both refuse the same, in the same words", ignore: noDocker }, async () => {
  await using ways = await BothWays.start();
  const refused: Partial<Revision>[] = [
    { imageId: `sha256:${"0123456789abcdef".repeat(4)}` },
    { volumes: [{ source: "/nowhere/at/all", path: "/data", readOnly: false }] },
    { volumes: [{ source: "data", path: "relative", readOnly: false }] },
    { memoryBytes: 1 },
  ];
  for (const extras of refused) {
    const revision = await ways.revision(extras);
    const message = async (way: Way) => (await assertRejects(() => ways.run(way, revision), EngineError)).message;
    assertEquals(await message("socket"), await message("command"));
  }
});
