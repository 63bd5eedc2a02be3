import { assert, assertEquals } from "@std/assert";
import { serve } from "../../src/cli/serve.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { noRead } from "../support/permissions.ts";

/** The rows of README's table with this first heading, without the marks of Markdown. */
async function tableOf(heading: string): Promise<string[][]> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const table = new RegExp(`^\\| ${heading} +\\|.*\\n\\|[ -|]+\\n((?:\\|.*\\n)+)`, "m").exec(readme)?.[1];
  assert(table !== undefined, `README has no table of ${heading}s`);
  return table.trimEnd().split("\n").map((row) =>
    row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll("`", "").replaceAll("\\|", "|"))
  );
}

Deno.test({
  name: "README's table of verbs lists every verb with its arguments and what it does",
  ignore: noRead,
  fn: async () => {
    const declared = VERBS.map(({ name, args, summary }) => [[name, ...args].join(" "), summary]);
    assertEquals(await tableOf("verb"), declared);
  },
});

Deno.test({
  name: "README's table of flags lists every flag of serve with its default",
  ignore: noRead,
  fn: async () => {
    const declared = serve.flags.map(({ name, value, default: preset }) => {
      if (value !== undefined) return [`--${name} ${value}`, preset ?? "none"];
      return preset === "on" ? [`--[no-]${name}`, "on"] : [`--${name}`, "off"];
    });
    const rows = await tableOf("flag");
    assertEquals(rows.map((row) => row.slice(0, 2)), declared);
    assertEquals(rows.filter((row) => row.length !== 3 || row[2] === ""), []);
  },
});
