import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { flag, parseFlags } from "../../src/cli/flags.ts";

const FLAGS = [
  flag("--admin HOST:PORT", ""),
  flag("--admin-public", ""),
  flag("--listen HOST:PORT…", ""),
  flag("--[no-]convention", ""),
  flag("--max-pending N", ""),
];

/** The given flags as an object. */
function given(...args: string[]): Record<string, readonly string[] | boolean> {
  return Object.fromEntries(parseFlags(args, FLAGS).given);
}

/** The message with which arguments are refused. */
function refusal(...args: string[]): string {
  return parseFlags(args, FLAGS).mistakes.join("\n");
}

Deno.test("without arguments, no flag is given", () => {
  assertEquals(given(), {});
  assertEquals(parseFlags([], FLAGS).rest, []);
});

Deno.test("a value follows its flag, or an equals sign after it", () => {
  assertEquals(given("--admin", "a:1"), { admin: ["a:1"] });
  assertEquals(given("--admin=a:1"), { admin: ["a:1"] });
  assertEquals(given("--admin=a=b"), { admin: ["a=b"] });
  assertEquals(given("--admin", "two words\nand lines"), { admin: ["two words\nand lines"] });
});

Deno.test("a value may begin with a hyphen", () => {
  assertEquals(given("--max-pending", "-5"), { "max-pending": ["-5"] });
  assertEquals(given("--max-pending=-5"), { "max-pending": ["-5"] });
  assertEquals(given("--admin=--listen"), { admin: ["--listen"] });
  assertEquals(given("--admin", "-"), { admin: ["-"] });
});

Deno.test("a value that looks like --help is still a value", () => {
  assertEquals(given("--admin", "-h"), { admin: ["-h"] });
  assertEquals(given("--admin=-h"), { admin: ["-h"] });
  assertEquals(given("--admin=--help"), { admin: ["--help"] });
});

Deno.test("a repeatable flag gives all of its values, in order", () => {
  assertEquals(given("--listen", "a:1", "--listen=b:2", "--listen", "a:1"), { listen: ["a:1", "b:2", "a:1"] });
});

Deno.test("a flag that is not repeatable is refused the second time", () => {
  assertEquals(refusal("--admin", "a:1", "--admin=a:1"), "--admin was given 2 times");
});

Deno.test("a switch is on, off or not given", () => {
  assertEquals(given("--convention"), { convention: true });
  assertEquals(given("--no-convention"), { convention: false });
  assertEquals(given("--admin-public"), { "admin-public": true });
});

Deno.test("if a switch is given several times, the last one counts", () => {
  assertEquals(given("--no-convention", "--convention"), { convention: true });
  assertEquals(given("--convention", "--no-convention"), { convention: false });
  assertEquals(given("--convention", "--convention"), { convention: true });
});

Deno.test("a switch takes no value", () => {
  const message = "--convention takes no value; write --convention or --no-convention";
  for (const value of ["", "x", "0", "false", "true"]) {
    assertEquals(refusal(`--convention=${value}`), message);
    assertEquals(refusal(`--no-convention=${value}`), message);
  }
  assertEquals(parseFlags(["--convention", "x"], FLAGS).rest, ["x"]);
});

Deno.test("a flag is not mistaken for another one whose name it begins with", () => {
  assertEquals(given("--admin-public"), { "admin-public": true });
  assertEquals(given("--admin", "a:1"), { admin: ["a:1"] });
  const flags = [flag("--json", ""), flag("--json-lines", ""), flag("--admin X", "")];
  const { given: both } = parseFlags(["--json-lines", "--admin=--json"], flags);
  assertEquals(Object.fromEntries(both), { "json-lines": true, admin: ["--json"] });
});

Deno.test("a flag without its value is refused, and the message shows how to write one", () => {
  const message = "--listen needs a value: --listen HOST:PORT";
  assertEquals(refusal("--listen"), message);
  assertEquals(refusal("--listen="), message);
  assertEquals(refusal("--listen", ""), message);
  const meant = "; if --admin is the value, write --listen=--admin";
  assertEquals(refusal("--listen", "--admin", "a:1"), message + meant);
  assertEquals(refusal("--listen", "--admin=secret"), message + meant.replaceAll("--admin", "--admin=…"));
  assertEquals(refusal("--listen", "--", "a:1"), message);
  assertEquals(refusal("--listen", "a:1", "--listen"), message);
});

Deno.test("help has a long and a short name", () => {
  assertEquals(given("--help"), { help: true });
  assertEquals(given("-h"), { help: true });
  assertEquals(given("--admin", "a:1", "-h"), { admin: ["a:1"], help: true });
});

Deno.test("a letter stands for a flag, with its value or without", () => {
  const flags = [flag("-f, --file FILE", ""), flag("-q, --quiet", "")];
  const read = (...args: string[]) => parseFlags(args, flags);
  assertEquals(Object.fromEntries(read("-q", "-f", "-").given), { quiet: true, file: ["-"] });
  assertEquals(Object.fromEntries(read("-f", "-q").given), { file: ["-q"] });
  assertEquals(read("a", "-q", "b", "-f", "x", "c").rest, ["a", "b", "c"]);
  assertEquals(read("--", "-q").rest, ["-q"]);
  assertStringIncludes(read("-f").mistakes.join(), "--file needs a value: --file FILE");
  assertStringIncludes(read("-f", "a", "-f", "b").mistakes.join(), "--file was given 2 times");
  assertStringIncludes(read("-qf").mistakes.join(), "--file needs a value: --file FILE");
  for (const arg of ["-fx", "-f=x"]) assertEquals(read(arg).given.get("file"), ["x"]);
  for (const arg of ["-Q", "-qQ"]) assertStringIncludes(read(arg).mistakes.join(), `unknown flag ${arg};`);
});

Deno.test("an unknown flag is refused, and the message suggests the nearest one", () => {
  assertEquals(refusal("--liste", "x"), "unknown flag --liste; did you mean --listen?");
  assertEquals(refusal("--liste=x=y"), "unknown flag --liste; did you mean --listen?");
  assertEquals(refusal("--no-admin"), "unknown flag --no-admin; did you mean --admin?");
  assertEquals(refusal("--Admin", "x"), "unknown flag --Admin; did you mean --admin?");
  assertEquals(refusal("--convention.x=1"), "unknown flag --convention.x; did you mean --convention?");
  assertEquals(refusal("-help"), "unknown flag -help; did you mean --help?");
});

Deno.test("nothing that begins with a hyphen is ignored", () => {
  for (
    const arg of [
      "-x",
      "-5",
      "-hx",
      "---",
      "---x",
      "--=x",
      "--no-",
      "--h",
      "-_",
      "--_=x",
      "--toString",
      "--__proto__=1",
      "-=x",
    ]
  ) {
    assertEquals(refusal(arg).slice(0, 13), "unknown flag ", arg);
  }
});

Deno.test("arguments that are no flags are returned as they were written", () => {
  assertEquals(parseFlags(["a", "--admin", "x", "007", "1e3", "-", ""], FLAGS).rest, ["a", "007", "1e3", "-", ""]);
});

Deno.test("after two hyphens there are no flags", () => {
  const { given, rest } = parseFlags(["--admin", "a:1", "--", "--admin-public", "-h", "--", "--x"], FLAGS);
  assertEquals(Object.fromEntries(given), { admin: ["a:1"] });
  assertEquals(rest, ["--admin-public", "-h", "--", "--x"]);
});

Deno.test("any arguments can be read, with what is wrong in them", () => {
  const word = fc.oneof(
    fc.constantFrom("--", "-h", "--admin", "--listen=1", "--no-convention", "--admin-public", "=", "-"),
    fc.string(),
    fc.string().map((text) => `-${text}`),
    fc.string().map((text) => `--${text}`),
  );
  fc.assert(fc.property(fc.array(word), (args) => {
    parseFlags(args, FLAGS);
  }));
});

const SHORT = [
  flag("-f, --follow", ""),
  flag("-t, --timestamps", ""),
  flag("-n, --tail N", ""),
];

Deno.test("letters may be written together, and directly before their value", () => {
  const given = (...args: string[]) => Object.fromEntries(parseFlags(args, SHORT).given);
  const all = { follow: true, timestamps: true, tail: ["20"] };
  assertEquals(given("-n20"), { tail: ["20"] });
  assertEquals(given("-n", "20"), { tail: ["20"] });
  assertEquals(given("-ft"), { follow: true, timestamps: true });
  assertEquals(given("-ftn20"), all);
  assertEquals(given("-ftn", "20"), all);
  assertEquals(given("-n-5"), { tail: ["-5"] });
  const refused = (...args: string[]) => parseFlags(args, SHORT).mistakes.join("\n");
  assertEquals(refused("-fx"), "unknown flag -fx; --help shows the flags");
  assertEquals(refused("-x"), "unknown flag -x; --help shows the flags");
  assertEquals(refused("-fn"), "--tail needs a value: --tail N");
});

Deno.test("a flag is suggested only if one is near", () => {
  assertEquals(refusal("--listn", "a:1"), "unknown flag --listn; did you mean --listen?");
  assertEquals(refusal("--frob"), "unknown flag --frob; --help shows the flags");
});

Deno.test("a flag is suggested that begins with what was given, or that is a part of it", () => {
  const flags = [
    "--image I",
    "--port N",
    "--env K…",
    "--env-file F…",
    "--min N",
    "--memory SIZE",
    "--max N",
    "--token T",
  ];
  const hint = (arg: string) => {
    const { mistakes } = parseFlags([arg, "x"], flags.map((one) => flag(one, "")));
    return /did you mean (.*)\?/.exec(mistakes[0]!)?.[1];
  };
  const cases = {
    ...{ "--to": "--token", "--tok=x": "--token", "--mem": "--memory", "-p": "--port", "-e": "--env" },
    ...{ "--min-instances": "--min", "--docker-image": "--image", "--env-variable": "--env" },
    ...{ "--m": undefined, "--max-memory": undefined, "--fort-knox": undefined },
  };
  for (const [arg, near] of Object.entries(cases)) assertEquals([arg, hint(arg)], [arg, near]);
});
