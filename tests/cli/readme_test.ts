import { assert, assertEquals } from "@std/assert";
import { serve } from "../../src/cli/serve.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { noRead } from "../support/permissions.ts";

/** The rows of the table of a document with this first heading, without the marks of Markdown. */
async function tableOf(document: string, heading: string): Promise<string[][]> {
  const text = await Deno.readTextFile(new URL(`../../${document}`, import.meta.url));
  const table = new RegExp(`^\\| ${heading} +\\|.*\\n\\|[ -|]+\\n((?:\\|.*\\n)+)`, "m").exec(text)?.[1];
  assert(table !== undefined, `${document} has no table of ${heading}s`);
  return table.trimEnd().split("\n").map((row) =>
    row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll("`", "").replaceAll("\\|", "|"))
  );
}

Deno.test({
  name: "the reference's table of verbs lists every verb with its arguments and what it does",
  ignore: noRead,
  fn: async () => {
    const declared = VERBS.map(({ name, args = [], summary }) => [[name, ...args].join(" "), summary]);
    assertEquals(await tableOf("docs/reference.md", "verb"), declared);
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
    const rows = await tableOf("README.md", "flag");
    assertEquals(rows.map((row) => row.slice(0, 2)), declared);
    assertEquals(rows.filter((row) => row.length !== 3 || row[2] === ""), []);
  },
});
