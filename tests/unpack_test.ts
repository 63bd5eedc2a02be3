import { assertEquals } from "@std/assert";
import { noRun, noWrite } from "./support/permissions.ts";

/** A runtime that prints the program's parts instead of running them. */
const RUNTIME = `#!/bin/sh
for given; do case $given in */main.js) cd "\${given%/*}" && cat *.js ;; esac; done
`;
const PARTS = { "chunk-A.js": "a;", "chunk-B.js": "b;", "main.js": "main;", "serve-C.js": "c;" };
const WHOLE = Object.values(PARTS).join("");

/** Runs a command to its end; what it printed. */
async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stderr, stdout } = await new Deno.Command(command, { args, env, stdin: "null" }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** An executable that unpacks itself. */
class Packed implements AsyncDisposable {
  readonly #folder: string;
  readonly #env: Record<string, string>;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#env = { XDG_CACHE_HOME: `${folder}/cache`, CACHE_DIRECTORY: "" };
  }

  static async make(): Promise<Packed> {
    const folder = await Deno.makeTempDir({ prefix: "unpack-" });
    await Deno.mkdir(`${folder}/parts`);
    for (const [name, text] of Object.entries(PARTS)) await Deno.writeTextFile(`${folder}/parts/${name}`, text);
    await Deno.writeTextFile(`${folder}/runtime`, RUNTIME);
    const pack = new URL("../.ci/pack", import.meta.url).pathname;
    assertEquals(await run(pack, [`${folder}/parts`, `${folder}/runtime`, `${folder}/packed`]), "");
    return new Packed(folder);
  }

  /** Starts it; what it printed. */
  start(): Promise<string> {
    return run(`${this.#folder}/packed`, [], this.#env);
  }

  /** The unpacked files by name, and which ones they are. */
  async unpacked(): Promise<Map<string, { path: string; ino: number | null }>> {
    const cache = `${this.#folder}/cache/cless`;
    const files = new Map<string, { path: string; ino: number | null }>();
    for await (const { name: folder } of Deno.readDir(cache)) {
      for await (const { name } of Deno.readDir(`${cache}/${folder}`)) {
        const path = `${cache}/${folder}/${name}`;
        files.set(name, { path, ino: (await Deno.stat(path)).ino });
      }
    }
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test({
  name: "the executable unpacks itself once, and again what is missing or cut off",
  ignore: noRun || noWrite,
  fn: async (t) => {
    await using packed = await Packed.make();
    assertEquals(await packed.start(), WHOLE);
    const first = await packed.unpacked();
    assertEquals([...first.keys()].sort(), ["chunk-A.js", "chunk-B.js", "cless", "main.js", "serve-C.js"]);

    await t.step("a second start leaves everything as it is", async () => {
      assertEquals(await packed.start(), WHOLE);
      assertEquals(await packed.unpacked(), first);
    });
    for (const [name, { path }] of first) {
      await t.step(`${name} is missing`, async () => {
        await Deno.remove(path);
        assertEquals(await packed.start(), WHOLE);
      });
      await t.step(`${name} is cut off`, async () => {
        await Deno.truncate(path, 1);
        assertEquals(await packed.start(), WHOLE);
      });
    }
    await t.step("the runtime may not be run", async () => {
      await Deno.chmod(first.get("cless")!.path, 0o600);
      assertEquals(await packed.start(), WHOLE);
    });
  },
});
