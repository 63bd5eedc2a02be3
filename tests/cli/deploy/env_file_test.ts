import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseEnv, readEnvFile } from "../../../src/cli/deploy/env_file.ts";
import { OperatorError } from "../../../src/base/errors.ts";
import { noRead } from "../../support/permissions.ts";

Deno.test("variables are lines with a name and a value, the value as it stands there", () => {
  const text = [
    "\ufeff# all of them",
    "",
    "A=1",
    "B=",
    "C=a = b # c",
    "  D=d ",
    "export E=e",
    'F="two words"',
    "G='x'",
    'H="open',
    "A=2",
    "   # last",
    "I=windows\r",
  ].join("\n");
  assertEquals(parseEnv(text, "x"), {
    ...{ A: "2", B: "", C: "a = b # c", D: "d ", E: "e", F: "two words", G: "x", H: '"open' },
    I: "windows",
  });
  assertEquals(parseEnv("A=1\r\nB=2\r\n", "x"), { A: "1", B: "2" });
  assertEquals(parseEnv("", "x"), {});
  assertEquals(Object.hasOwn(parseEnv("__proto__=x", "x"), "__proto__"), true);
});

Deno.test("a line that is none is refused by its file and number, and its value is not shown", () => {
  const refusal = (text: string) => assertThrows(() => parseEnv(text, "prod.env"), OperatorError).message;
  assertEquals(refusal("A=1\n\nsecret"), "prod.env:3: expected KEY=VALUE");
  const name = "what stands before = is no name of a variable; right are letters, digits and _, with no digit first";
  for (const line of ["=secret", "A B=secret", "1A=secret", "A =secret", "ä=secret"]) {
    assertEquals(refusal(line), `prod.env:1: ${name}`);
  }
});

Deno.test({
  name: "a file that cannot be read is named",
  ignore: noRead,
  fn: async () => {
    const { message } = await assertRejects(() => readEnvFile("/nowhere/prod.env"), OperatorError);
    assertEquals(message, "cannot read /nowhere/prod.env: No such file or directory");
  },
});
