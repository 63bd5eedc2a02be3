import { assertEquals } from "@std/assert";
import { noRead, noRun, noWrite } from "./support/permissions.ts";
import { ROOT } from "./support/sources.ts";

/** The files of tests below a folder, by their URLs. */
async function testFiles(folder: URL): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const found = await Promise.all(entries.map(({ isDirectory, name }) => {
    if (isDirectory) return testFiles(new URL(`${name}/`, folder));
    return name.endsWith("_test.ts") ? [new URL(name, folder).href] : [];
  }));
  return found.flat();
}

Deno.test({
  name: "all files of tests are loaded without a permission, and ask for none",
  ignore: noRead || noRun || noWrite,
  fn: async () => {
    const files = await testFiles(new URL("tests/", ROOT));
    const folder = await Deno.makeTempDir({ prefix: "load-" });
    try {
      // One module for all of them, since they share most of what they load.
      const module = `${folder}/all_test.ts`;
      await Deno.writeTextFile(module, files.sort().map((file) => `import "${file}";\n`).join(""));
      const asked = `${folder}/asked`; // also has what a file asked for and did without
      await Deno.writeTextFile(asked, "");
      const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["test", "--config", new URL("deno.json", ROOT).pathname, "--frozen", "--no-check", "--no-prompt"],
          ...["--filter", "/^$/", module], // no test has such a name
        ],
        env: { DENO_AUDIT_PERMISSIONS: asked, NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
      assertEquals([code, await Deno.readTextFile(asked)], [0, ""], said);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
