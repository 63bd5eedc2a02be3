import { assertEquals, assertRejects } from "@std/assert";
import { writeWhole } from "../../src/base/whole_file.ts";
import { noRead, noWrite } from "../support/permissions.ts";

/** A test with a folder of its own. */
function folderTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "whole-file-" });
      await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
    },
  });
}

async function contentOf(folder: string): Promise<Record<string, string>> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  const texts = await Promise.all(names.map((name) => Deno.readTextFile(`${folder}/${name}`)));
  return Object.fromEntries(names.map((name, at) => [name, texts[at]!]));
}

folderTest("a file is written for nobody else to read, and nothing is left beside it", async (folder) => {
  await Deno.writeTextFile(`${folder}/a.new`, "half of", { mode: 0o644 }); // of a process that was killed
  await writeWhole(`${folder}/a`, "one\n", { replace: true });
  assertEquals(await contentOf(folder), { a: "one\n" });
  assertEquals((await Deno.stat(`${folder}/a`)).mode! & 0o777, 0o600);
});

folderTest("a file that is there makes room only where it should", async (folder) => {
  for (const text of ["one", "two"]) await writeWhole(`${folder}/a`, text, { replace: true });
  await writeWhole(`${folder}/a`, "three", { replace: false });
  await writeWhole(`${folder}/b`, "four", { replace: false });
  assertEquals(await contentOf(folder), { a: "two", b: "four" });
});

folderTest("what cannot be written changes nothing", async (folder) => {
  await Deno.mkdir(`${folder}/a/b`, { recursive: true });
  await assertRejects(() => writeWhole(`${folder}/a`, "text", { replace: true }));
  await assertRejects(() => writeWhole(`${folder}/none/a`, "text", { replace: true }), Deno.errors.NotFound);
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["a"]);
});
