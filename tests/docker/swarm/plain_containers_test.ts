import { assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../../src/base/errors.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { endPlainContainers } from "../../../src/docker/swarm/plain_containers.ts";
import { OWNER } from "../launcher_kit.ts";

/** A container as the engine lists it. */
interface Listed {
  readonly Id: string;
  State: string;
  readonly Labels: Record<string, string>;
  readonly Mounts: readonly { readonly Type: string }[];
}

/** An engine with containers from before the Swarm. */
class Rig {
  readonly containers: Listed[] = [];
  readonly calls: string[] = [];
  /** The ids of those that the engine cannot end. */
  readonly stuck = new Set<string>();
  /** The ids of those that are frozen. */
  readonly frozen = new Set<string>();

  add(id: string, { mounts = [] as string[], state = "running", labels = {} } = {}): void {
    this.containers.push({
      Id: id,
      State: state,
      Labels: { "cless.owner": OWNER, "cless.service": "app", ...labels },
      Mounts: mounts.map((Type) => ({ Type })),
    });
  }

  async end(): Promise<string[]> {
    await endPlainContainers({
      owner: OWNER,
      caller: { ask: () => Promise.resolve(JSON.stringify(this.containers)) },
      api: {
        stop: (id, graceS) => this.#do(`stop ${id} ${graceS}`, id, (at) => this.containers[at]!.State = "exited"),
        remove: (id) => this.#do(`remove ${id}`, id, (at) => this.containers.splice(at, 1)),
      },
      freezer: {
        found: () => Promise.resolve(),
        thaw: (id) => {
          if (this.frozen.delete(id)) this.calls.push(`thaw ${id}`);
          return Promise.resolve(true);
        },
        forget() {},
      },
    });
    return this.calls;
  }

  #do(call: string, id: string, work: (at: number) => unknown): Promise<void> {
    this.calls.push(call);
    const at = this.containers.findIndex(({ Id }) => Id === id);
    if (at < 0) return Promise.reject(new EngineError("gone", `No such container: ${id}`));
    if (this.stuck.has(id)) return Promise.reject(new EngineError("refused", "it is a zombie"));
    work(at);
    return Promise.resolve();
  }
}

Deno.test("containers from before the Swarm get time to end, also frozen ones, and those of the Swarm stay", async () => {
  const rig = new Rig();
  rig.add("database", { mounts: ["volume"] });
  rig.frozen.add("database");
  rig.add("task", { labels: { "com.docker.swarm.service.name": "cless-app-s0" } });
  assertEquals(await rig.end(), ["thaw database", "stop database 10", "remove database"]);
  assertEquals(rig.containers.map(({ Id }) => Id), ["task"]);
});

Deno.test("a container from before the Swarm with a volume that does not end stops the start, with what to do", async () => {
  for (const type of ["volume", "bind"]) {
    const rig = new Rig();
    rig.add("0123456789abcdef", { mounts: [type] });
    rig.stuck.add("0123456789abcdef");
    await assertRejects(
      () => rig.end(),
      OperatorError,
      "a container of the service app from before --engine swarm has a volume and does not end (it is a zombie); " +
        "remove it with docker rm --force 0123456789ab, then start cless again",
    );
  }
});

Deno.test("a container from before the Swarm that cannot hurt does not stop the start", async () => {
  const rig = new Rig();
  rig.add("plain", { mounts: ["tmpfs"] });
  rig.add("ended", { mounts: ["volume"], state: "exited" });
  for (const id of ["plain", "ended"]) rig.stuck.add(id);
  await rig.end();
  assertEquals(rig.containers.length, 2);
});
