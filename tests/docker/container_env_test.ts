import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { messageOf } from "../../src/base/errors.ts";
import { carryEnv, envProblem, redactError } from "../../src/docker/container_env.ts";
import { EngineError, kindOf } from "../../src/docker/engine_error.ts";
import { CODE_POINT } from "../support/code_point.ts";

const KIB = 1024;

Deno.test("no environment needs nothing", () => {
  assertEquals(carryEnv({}), { args: [], options: { env: {} } });
});

Deno.test("what fits on a line goes by a file that is the command's standard input", () => {
  assertEquals(carryEnv({ A: "1", EMPTY: "", URL: "http://x/?a=b#c", PATH: "/app", DOCKER_HOST: "tcp://x:1" }), {
    args: ["--env-file=/dev/stdin"],
    options: { env: {}, stdin: "A=1\nEMPTY=\nURL=http://x/?a=b#c\nPATH=/app\nDOCKER_HOST=tcp://x:1\n" },
  });
});

Deno.test("what a file cannot hold goes by the command's environment", () => {
  const env = {
    PEM: "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
    CRLF: "a\r\nb",
    CR: "a\r",
    QUOTED: '"a" b',
    SPACED: " a ",
    LONG: "x".repeat(61 * KIB),
    SSH_PRIVATE_KEY: "a\nb",
    TLS_CERT: "a\nb",
    SSL_CERT: "a\nb",
  };
  assertEquals(carryEnv(env), { args: Object.keys(env).map((name) => `--env=${name}`), options: { env } });
});

Deno.test("a variable that means something to the docker command never gets into its environment", () => {
  const names = [
    ...["DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"],
    ...["DOCKER_API_VERSION", "DOCKER_CONTENT_TRUST", "DOCKER_CONTENT_TRUST_SERVER", "DOCKER_DEFAULT_PLATFORM"],
    ...["DOCKER_HIDE_LEGACY_COMMANDS", "DOCKER_AUTH_CONFIG", "BUILDKIT_PROGRESS", "HTTP_PROXY", "https_proxy"],
    ...["No_Proxy", "ALL_PROXY", "PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "GODEBUG", "SSH_AUTH_SOCK"],
    ...["TMPDIR", "NO_COLOR", "SSL_CERT_FILE", "XDG_RUNTIME_DIR", "BASH_ENV", "LC_ALL", "TZ", "CONTAINER_HOST"],
  ];
  for (const name of names) {
    for (const value of ["a", " a ", '"a"', ""]) {
      assertEquals(carryEnv({ [name]: value }).options, { env: {}, stdin: `${name}=${value}\n` }, name);
    }
    for (const value of ["a\nb", "a\r", "x".repeat(61 * KIB)]) {
      const error = assertThrows(() => carryEnv({ [name]: value }), EngineError);
      assertEquals(
        error.message,
        `the environment variable ${name} has to be one line of at most 60 KiB, ` +
          "since the docker command has a meaning for that name",
      );
    }
  }
});

Deno.test("an impossible variable is refused, without its value in the message", () => {
  for (const name of ["", "A=B", "A B", "#A", "-e", "A\nB", "Ä", "1A", "A*"]) {
    assertEquals(envProblem(name, "secret"), `${JSON.stringify(name)} is not a valid name of an environment variable`);
  }
  assertMatch(envProblem("A", "secret\0")!, /^the environment variable A has a NUL in it$/);
  assertMatch(envProblem("A", "ü".repeat(64 * KIB))!, /^the environment variable A is too long$/);
  assertEquals(envProblem("A", "x".repeat(128 * KIB - 3)), undefined);
  assertThrows(() => carryEnv({ A: "1", "B C": "secret" }), EngineError, '"B C" is not a valid name');
});

Deno.test("every value arrives once and whole, and is in no argument", () => {
  const name = fc.stringMatching(/^[A-Z_]{3,12}$/).filter((name) => envProblem(name, "a\nb") === undefined);
  const value = fc.oneof(fc.string({ unit: CODE_POINT }), fc.constantFrom("a\nb", "\n", "\r", "#", "=", " ", "'a'"))
    .filter((value) => !value.includes("\0"));
  fc.assert(fc.property(fc.dictionary(name, value), (variables) => {
    const { args, options } = carryEnv(variables);
    const lines = (options.stdin ?? "").split("\n").slice(0, -1).map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1)] as const;
    });
    assertEquals({ ...Object.fromEntries(lines), ...options.env }, { ...variables });
    assertEquals(lines.length + Object.keys(options.env!).length, Object.keys(variables).length);
    assertEquals(
      args.filter((arg) => arg !== "--env-file=/dev/stdin"),
      Object.keys(options.env!).map((n) => `--env=${n}`),
    );
    assert(args.includes("--env-file=/dev/stdin") === lines.length > 0);
  }));
});

/** What is left of a message. */
function told(message: string, command: string[], env: Record<string, string> = {}): string {
  return messageOf(redactError(new EngineError("refused", message), { command, env }));
}

Deno.test("the program that is not there is named, and nothing that is passed to it", () => {
  const said = (program: string) => `runc create failed: exec: "${program}": executable file not found in $PATH`;
  assertEquals(told(said("serve"), ["serve", "--password=hunter2"]), said("serve"));
  assertEquals(told(said("/usr/bin/serve"), ["/usr/bin/serve"]), said("/usr/bin/serve"));
  assertEquals(told(said("serve --password=hunter2"), ["serve --password=hunter2"]), said("serve ***"));
  assertEquals(told("bad: --password=hunter2", ["serve", "--password=hunter2"]), "bad: ***");
});

Deno.test("values of the environment are hidden, however they are written", () => {
  const env = { PART: "hunter2-", LONG: "hunter2-hunter2", LINES: 'first"line\nsecond line', SHORT: "true" };
  assertEquals(told("a hunter2-hunter2 b hunter2- true", [], env), "a *** b *** true");
  assertEquals(told('a first"line; second line', [], env), "a ***");
  assertEquals(told('a "first\\"line\\nsecond line"', [], env), 'a "***"');
});

Deno.test("paths stay, and so does an error with nothing to hide", () => {
  const error = new EngineError("refused", "bind source path does not exist: /srv/data/app");
  assertStrictEquals(redactError(error, { command: [], env: { DATA: "/srv/data/app" } }), error);
  const other = new Error("hunter2-hunter2");
  assertStrictEquals(redactError(other, { command: [], env: { KEY: "hunter2-hunter2" } }), other);
});

Deno.test("an error without its secrets is of the same kind", () => {
  const error = new EngineError("address_taken", "hunter2-hunter2");
  assertEquals(kindOf(redactError(error, { command: [], env: { KEY: "hunter2-hunter2" } })), "address_taken");
});
