import { assertEquals, assertStrictEquals } from "@std/assert";
import { DockerError } from "../../src/docker/command.ts";
import { discreetError } from "../../src/docker/discretion.ts";
import { messageOf } from "../../src/base/errors.ts";

/** What is left of a message. */
function told(message: string, command: string[], env: Record<string, string> = {}): string {
  return messageOf(discreetError(new DockerError(message), { command, env }));
}

Deno.test("the program that is not there is named, and nothing that is passed to it", () => {
  const said = (program: string) => `runc create failed: exec: "${program}": executable file not found in $PATH`;
  assertEquals(told(said("serve"), ["serve", "--password=hunter2"]), said("serve"));
  assertEquals(told(said("/usr/bin/serve"), ["/usr/bin/serve"]), said("/usr/bin/serve"));
  assertEquals(told(said("serve --password=hunter2"), ["serve --password=hunter2"]), said("serve ***"));
  assertEquals(told("bad: --password=hunter2", ["serve", "--password=hunter2"]), "bad: ***");
});

Deno.test("values of the environment are hidden, however they are written", () => {
  const env = { LONG: "hunter2-hunter2", PART: "hunter2-", LINES: 'first"line\nsecond line', SHORT: "true" };
  assertEquals(told("a hunter2-hunter2 b hunter2- true", [], env), "a *** b *** true");
  assertEquals(told('a first"line; second line', [], env), "a ***");
  assertEquals(told('a "first\\"line\\nsecond line"', [], env), 'a "***"');
});

Deno.test("paths stay, and so does an error with nothing to hide", () => {
  const error = new DockerError("bind source path does not exist: /srv/data/app");
  assertStrictEquals(discreetError(error, { command: [], env: { DATA: "/srv/data/app" } }), error);
  const other = new Error("hunter2-hunter2");
  assertStrictEquals(discreetError(other, { command: [], env: { KEY: "hunter2-hunter2" } }), other);
});
