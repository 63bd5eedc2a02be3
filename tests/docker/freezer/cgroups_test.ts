import { assertEquals } from "@std/assert";
import { containerCgroups } from "../../../src/docker/freezer/cgroups.ts";
import { noRun } from "../../support/permissions.ts";

const ROOT = "/sys/fs/cgroup";

/** Whether control groups of version 1 can be made here. */
const canMake = !noRun && Deno.uid() === 0 && ["freezer", "memory"].every((controller) => {
  try {
    return Deno.statSync(`${ROOT}/${controller}/cgroup.procs`).isFile;
  } catch {
    return false;
  }
});

/** A process in control groups that the test makes. */
class Placed implements AsyncDisposable {
  readonly #child = new Deno.Command("sleep", { args: ["600"] }).spawn();
  readonly #made: string[] = [];

  /** Moves it to a group, whose parents are made too. */
  enter(controller: string, path: string): void {
    let folder = `${ROOT}/${controller}`;
    for (const name of path.split("/")) {
      folder += `/${name}`;
      try {
        Deno.mkdirSync(folder);
        this.#made.unshift(folder);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
    Deno.writeTextFileSync(`${folder}/cgroup.procs`, `${this.#child.pid}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.status;
    for (const folder of this.#made) Deno.removeSync(folder);
  }
}

Deno.test({
  name: "a container's control groups are found wherever the engine puts them, and from a process in a group below",
  ignore: !canMake,
}, async () => {
  const newId = () => `${crypto.randomUUID()}${crypto.randomUUID()}`.replaceAll("-", "");
  for (
    const layout of [
      (id: string) => [`docker/${id}`, ""],
      (id: string) => [`system.slice/docker-${id}.scope`, ""],
      (id: string) => [`docker/${newId()}/docker/${id}`, ""], // an engine in a container
      (id: string) => [`cless-test.slice/cless-test-a.slice/docker-${id}.scope`, "/init"],
    ]
  ) {
    const id = newId();
    const [path, below] = layout(id) as [string, string];
    await using process = new Placed();
    for (const controller of ["freezer", "memory"]) process.enter(controller, `${path}${below}`);
    const found = await containerCgroups();
    assertEquals(found.get(id), { freezer: `${ROOT}/freezer/${path}`, memory: `${ROOT}/memory/${path}` });
  }
});
