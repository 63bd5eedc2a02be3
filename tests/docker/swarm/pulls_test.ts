import { assertEquals, assertRejects } from "@std/assert";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { Sequence } from "../../../src/docker/network/addresses.ts";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import { ImageNodes } from "../../../src/docker/swarm/image_nodes.ts";
import type { NodePeers } from "../../../src/docker/swarm/instance_messages.ts";
import { SwarmLauncher, type SwarmLauncherParts } from "../../../src/docker/swarm/swarm_launcher.ts";
import type { TaskEngine } from "../../../src/docker/swarm/task_engine.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type FakePull, FakeSwarm } from "../../support/fake_swarm.ts";
import { volumeNodesOf } from "../../support/volume_nodes.ts";
import { OWNER, REVISION } from "../launcher_kit.ts";

const DIGEST = "reg.example/app@sha256:1";
const PULLED: Revision = { ...REVISION, imageDigest: DIGEST };
const { imageId } = REVISION;

/** A launcher on the second of two nodes, which alone has the image. Swarm takes the first one where both will do. */
class Rig {
  readonly clock = new FakeClock();
  readonly swarm = new FakeSwarm(this.clock, ["node1", "node2"]);
  /** What nodes needed before a task ran there. */
  readonly pulls: FakePull[] = [];
  /** The images for whose registries a login was looked for. */
  readonly askedFor: string[] = [];
  readonly #launcher: SwarmLauncher;

  /** @param options Who gets the image from its registry, and which node has a volume. */
  constructor({ pulls, volumeOn, has = true }: {
    readonly pulls: (pull: FakePull) => boolean;
    readonly volumeOn?: "node1" | "node2";
    readonly has?: boolean;
  }) {
    const api = this.swarm.api("node2");
    this.swarm.pulls = (pull) => {
      this.pulls.push(pull);
      return pull.image === imageId ? pull.nodeId === "node2" : pulls(pull);
    };
    const peers: NodePeers = { live: ["node1", "node2"], noteNodes() {}, ask: () => Promise.resolve({ ok: false }) };
    const engine = {
      has: () => false,
      image: () => has ? Promise.resolve({ id: imageId }) : Promise.reject(new EngineError("no_such_image", "none")),
    };
    const machines = new Map(
      ["node1", "node2"].map((id) => [id, { engine: id, has: new Set(volumeOn === id ? ["data"] : []) }]),
    );
    const logins = {
      headerFor: (image: string) => {
        this.askedFor.push(image);
        return Promise.resolve("eyJ9");
      },
    };
    const containers = { outputs: { started() {} }, volumeAccess: { check() {} } };
    this.#launcher = new SwarmLauncher(
      {
        ...{ swarm: api, peers, containers, engine, logins, owner: OWNER, clock: this.clock, drainTimeoutMs: 0 },
        ...{
          homes: new Homes("node2", peers),
          volumes: volumeNodesOf(api, OWNER, "node2", machines),
          images: new ImageNodes("node2", engine as unknown as TaskEngine, peers),
          ports: new Sequence(61_000, 65_535),
          defaults: {},
        },
      } as unknown as SwarmLauncherParts,
    );
  }

  /** Starts an instance; resolves with the node on which it runs. */
  async launch(revision: Revision): Promise<string | undefined> {
    const id = `cless-${OWNER}-${revision.name}-s0`;
    await this.clock.until(this.#launcher.launch({ id, revision }));
    return this.swarm.tasks.find(({ name }) => name === id)?.nodeId;
  }
}

const WITH_VOLUME: Revision = { ...PULLED, volumes: [{ source: "data", path: "/data", readOnly: false }] };

Deno.test("a node that has not got an image pulls it, with the login of the cless that starts the instance", async () => {
  const rig = new Rig({ pulls: ({ login }) => login === "eyJ9" });
  assertEquals(await rig.launch(PULLED), "node1");
  assertEquals(rig.pulls, [{ nodeId: "node1", image: DIGEST, login: "eyJ9" }]);
  assertEquals(rig.askedFor, [DIGEST]);
});

Deno.test("an instance runs where its image is if the node that it gets cannot pull that", async () => {
  const rig = new Rig({ pulls: () => false });
  assertEquals(await rig.launch(PULLED), "node2");
  assertEquals(rig.pulls, [
    { nodeId: "node1", image: DIGEST, login: "eyJ9" },
    { nodeId: "node2", image: imageId, login: undefined },
  ]);
});

Deno.test("no login is handed on for an image that no registry has", async () => {
  const rig = new Rig({ pulls: () => true });
  assertEquals(await rig.launch(REVISION), "node2");
  assertEquals(rig.pulls, [{ nodeId: "node2", image: imageId, login: undefined }]);
  assertEquals(rig.askedFor, []);
});

Deno.test("the node that has a service's volume pulls its image", async () => {
  const rig = new Rig({ pulls: ({ login }) => login === "eyJ9", volumeOn: "node1" });
  assertEquals(await rig.launch(WITH_VOLUME), "node1");
  assertEquals(rig.pulls, [{ nodeId: "node1", image: DIGEST, login: "eyJ9" }]);
});

Deno.test("the node that has a service's volume need not pull an image that it has", async () => {
  const rig = new Rig({ pulls: () => false, volumeOn: "node2" });
  assertEquals(await rig.launch(WITH_VOLUME), "node2");
  assertEquals(rig.pulls.map(({ image, nodeId }) => `${nodeId}: ${image}`), [`node2: ${DIGEST}`, `node2: ${imageId}`]);
});

Deno.test("an image that no node has or can pull is named, with what to do", async () => {
  const rig = new Rig({ pulls: () => false, has: false });
  await assertRejects(
    () => rig.launch(PULLED),
    Error,
    `no machine that may run it has the image ${PULLED.image}, or can pull it: if that wants a password: docker login, ` +
      "or send it with cless image send",
  );
});
