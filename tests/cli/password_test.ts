import { assert, assertEquals, assertMatch } from "@std/assert";
import { isPassword, parsePasswordHash } from "../../src/access/password_hash.ts";
import { noRun } from "../support/permissions.ts";
import { runMain, runWithInput } from "./run_main.ts";

/** Runs the verb as if a user at a terminal typed these keys. */
async function atTerminal(keys: string) {
  const { stdin, stderr } = Deno;
  const before = [stdin.isTerminal, stderr.isTerminal, stdin.read, stdin.setRaw, stderr.write] as const;
  let rest = new TextEncoder().encode(keys);
  let shown = "";
  const modes: boolean[] = [];
  stdin.isTerminal = stderr.isTerminal = () => true;
  stdin.setRaw = (mode) => void modes.push(mode);
  stdin.read = (into) => {
    if (rest.length === 0) return Promise.resolve(null);
    into.set(rest.subarray(0, 1)); // a key at a time
    rest = rest.subarray(1);
    return Promise.resolve(1);
  };
  stderr.write = (bytes) => {
    shown += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  };
  try {
    return { ...await runMain("password"), shown, modes };
  } finally {
    [stdin.isTerminal, stderr.isTerminal, stdin.read, stdin.setRaw, stderr.write] = before;
  }
}

Deno.test({
  name: "the hash of a password from standard input is printed, without a line break at its end",
  ignore: noRun,
  fn: async () => {
    const texts = ["correct horse battery", "correct horse battery\n", "correct horse battery\r\n"];
    for (const { code, err, out } of await Promise.all(texts.map((text) => runWithInput(text, "password")))) {
      assertEquals([code, err], [0, ""]);
      assert(await isPassword("correct horse battery", parsePasswordHash(out.trimEnd())));
    }
    const short = await runWithInput("pässwörd", "password");
    assertMatch(short.err, /^warning: a password of less than 12 characters/);
    assert(await isPassword("pässwörd", parsePasswordHash(short.out.trimEnd())));
  },
});

Deno.test({
  name: "a password that is empty, longer than a line, or too long is refused",
  ignore: noRun,
  fn: async () => {
    for (
      const [text, message] of [
        ["", "the password is empty"],
        ["\n", "the password is empty"],
        ["two\nlines\n", "a password must be one line without control characters"],
        ["x".repeat(1025), "a password must be at most 1024 bytes"],
      ] as const
    ) assertEquals(await runWithInput(text, "password"), { code: 2, out: "", err: `cless: ${message}\n` });
  },
});

Deno.test("at a terminal, a password is asked for twice and not shown", async () => {
  const { code, err, modes, out, shown } = await atTerminal("correct hörse!\x7fz\x7f battery\rcorrect hörse battery\r");
  assertEquals([code, err, shown], [0, "", "Password: \nOnce more: \n"]);
  assertEquals(modes, [true, false]);
  assert(await isPassword("correct hörse battery", parsePasswordHash(out)));
  const cleared = await atTerminal("wrong\x15a long passphröö\x7f\x7fö\r\na long passphrö\r\n");
  assert(await isPassword("a long passphrö", parsePasswordHash(cleared.out)));
});

Deno.test("at a terminal, nothing is printed if the two passwords differ, or the user gives up", async () => {
  const differ = await atTerminal("one password\ranother password\r");
  assertEquals([differ.code, differ.out, differ.err], [1, "", "cless: the two passwords differ; nothing was printed"]);
  for (const keys of ["secret\x03", "secret\rsec\x04", "secret"]) {
    const { code, err, modes, out } = await atTerminal(keys);
    assertEquals([code, out, err, modes], [1, "", "cless: no password was given", [true, false]]);
  }
});
