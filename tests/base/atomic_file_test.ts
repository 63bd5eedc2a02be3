import { assertEquals, assertThrows } from "@std/assert";
import { writeAtomically } from "../../src/base/atomic_file.ts";
import { noRead, noWrite } from "../support/permissions.ts";

/** A test with a folder of its own. */
function folderTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "atomic-file-" });
      await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
    },
  });
}

async function contentOf(folder: string): Promise<Record<string, string>> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  const texts = await Promise.all(names.map((name) => Deno.readTextFile(`${folder}/${name}`)));
  return Object.fromEntries(names.map((name, at) => [name, texts[at]!]));
}

folderTest("only its owner can read a written file, and nothing is left beside it", async (folder) => {
  await Deno.writeTextFile(`${folder}/a.new`, "half of", { mode: 0o644 }); // of a process that was killed
  assertEquals(writeAtomically(`${folder}/a`, "one\n"), true);
  assertEquals(await contentOf(folder), { a: "one\n" });
  assertEquals((await Deno.stat(`${folder}/a`)).mode! & 0o777, 0o600);
});

folderTest("a file gets the rights that are asked for, whatever the umask", async (folder) => {
  const before = Deno.umask(0o077);
  try {
    writeAtomically(`${folder}/a`, Uint8Array.of(65), { mode: 0o644 });
  } finally {
    Deno.umask(before);
  }
  assertEquals(await contentOf(folder), { a: "A" });
  assertEquals((await Deno.stat(`${folder}/a`)).mode! & 0o777, 0o644);
});

folderTest("a file that exists is replaced, or kept if that is asked for", async (folder) => {
  for (const text of ["one", "two"]) writeAtomically(`${folder}/a`, text, { existing: "replace" });
  assertEquals(writeAtomically(`${folder}/a`, "three", { existing: "keep" }), false);
  assertEquals(writeAtomically(`${folder}/b`, "four", { existing: "keep" }), true);
  assertEquals(await contentOf(folder), { a: "two", b: "four" });
});

folderTest("content that a check refuses does not get the file's name", async (folder) => {
  writeAtomically(`${folder}/a`, "good");
  const seen: string[] = [];
  const check = (draft: string) => {
    seen.push(Deno.readTextFileSync(draft));
    throw new RangeError("no");
  };
  assertThrows(() => writeAtomically(`${folder}/a`, "bad", { check }), RangeError);
  assertThrows(() => writeAtomically(`${folder}/b`, "bad too", { existing: "keep", check }), RangeError);
  assertEquals([seen, await contentOf(folder)], [["bad", "bad too"], { a: "good" }]);
});

folderTest("a file that cannot be written changes nothing", async (folder) => {
  await Deno.mkdir(`${folder}/a/b`, { recursive: true });
  assertThrows(() => writeAtomically(`${folder}/a`, "text"));
  assertThrows(() => writeAtomically(`${folder}/none/a`, "text"), Deno.errors.NotFound);
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["a"]);
});
