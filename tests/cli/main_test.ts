import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { doctor } from "../../src/cli/doctor.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { FOREIGN_VERBS } from "../../src/cli/foreign_verbs.ts";
import { topHelp, verbHelp } from "../../src/cli/help.ts";
import { main } from "../../src/cli/main.ts";
import { serve } from "../../src/cli/serve.ts";
import { VERB_GROUPS, VERBS } from "../../src/cli/verbs.ts";
import { VERSION } from "../../src/base/version.ts";
import { noEnv, noRead, noRun } from "../support/permissions.ts";
import { ANSWERS, apiTest, problem } from "./fake_api.ts";
import { runMain, runProcess } from "./run_main.ts";

Deno.test("the program prints its version", async () => {
  for (const flag of ["--version", "-V", "-v"]) {
    assertEquals(await runMain(flag), { code: 0, out: `cless ${VERSION}`, err: "" });
  }
});

Deno.test("help is printed for the program and for each verb, in every way to ask for it", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    assertEquals(await runMain(...args), { code: 0, out: topHelp(VERB_GROUPS, serve), err: "" });
  }
  for (const args of [["serve", "--help"], ["serve", "-h"], ["help", "serve"], ["serve", "--listen", "x", "-h"]]) {
    assertEquals(await runMain(...args), { code: 0, out: verbHelp(serve), err: "" });
  }
  for (const args of [["doctor", "--help"], ["help", "doctor"], ["doctor", "--json", "-h"]]) {
    assertEquals(await runMain(...args), { code: 0, out: verbHelp(doctor), err: "" });
  }
});

Deno.test("flags without a verb are those of serve", async () => {
  assertEquals(await runMain("--listen", "127.0.0.1:0", "--help"), { code: 0, out: verbHelp(serve), err: "" });
});

/** For `ignore` of a test that reads flags, or else their variables and the address in the data folder. */
const noSettings = noEnv || noRead;

Deno.test(
  { name: "a wrong command line is exit code 2, and one line that says what is wrong", ignore: noSettings },
  async () => {
    const cases: [args: string[], message: string][] = [
      [["srve"], 'there is no verb "srve"; did you mean "serve"? See cless --help'],
      [["lgos"], 'there is no verb "lgos"; did you mean "logs"? See cless --help'],
      [
        ["images"],
        'there is no verb "images"; cless revisions NAME lists the revisions of a service with their images',
      ],
      [["exec", "web", "ls", "-la", "/"], "unknown flag -la; write -- before a command with flags of its own"],
      [["exec", "web", "--usr=root"], "unknown flag --usr; did you mean --user?"],
      [["docktor"], 'there is no verb "docktor"; did you mean "doctor"? See cless --help'],
      [["ps"], 'there is no verb "ps"; cless services lists the services, and cless instances their containers'],
      [["rm", "-f", "web"], 'there is no verb "rm"; cless delete NAME deletes a service'],
      [["help", "undo"], `there is no verb "undo"; cless rollback NAME undoes the last change of a service's traffic`],
      [["toString"], 'there is no verb "toString"; see cless --help'],
      [["help", "nothing"], 'there is no verb "nothing"; see cless --help'],
      [["--lisen", "x"], "unknown flag --lisen; did you mean --listen?"],
      [["serve", "--lisen=x"], "unknown flag --lisen; did you mean --listen?"],
      [["doctor", "--jsn"], "unknown flag --jsn; did you mean --json?"],
      [["doctor", "--server", "x"], "unknown flag --server; doctor works on this machine, and takes no server"],
      [["robots", "--server=x"], "unknown flag --server; robots works on this machine, and takes no server"],
      [["serve", "--listen"], "--listen needs a value: --listen HOST:PORT"],
      [["serve", "me"], 'serve takes no argument "me"; see cless serve --help'],
      [["doctor", "007"], 'doctor takes no argument "007"; see cless doctor --help'],
      [["two\nlines"], 'there is no verb "two; lines"; see cless --help'],
    ];
    for (const [args, message] of cases) {
      assertEquals(await runMain(...args), { code: 2, out: "", err: `cless: ${message}` });
    }
  },
);

Deno.test("what is suggested for a verb of another tool is a verb with such flags, and no verb is foreign", () => {
  for (const [word, text] of Object.entries(FOREIGN_VERBS)) {
    assertEquals(VERBS.filter(({ name }) => name === word), []);
    // A command is the verb, and the arguments in capitals and flags after it.
    const commands = [...text.matchAll(/\bcless (?!itself)([a-z]+)((?: (?:-[a-z-]+|[A-Z=]+))*)/g)];
    assert(commands.length > 0, word);
    for (const [, name, args = ""] of commands) {
      const verb = VERBS.find((verb) => verb.name === name);
      assert(verb !== undefined, `${word}: ${name}`);
      const { rest } = parseFlags(args.split(" ").filter((arg) => arg !== ""), verb.flags);
      assertEquals(rest, rest.length === 0 ? [] : ["NAME"], word);
    }
  }
});

Deno.test("an empty word is no verb", async () => {
  const { code, err } = await runMain("");
  assertEquals(code, 2);
  assertMatch(err, /^cless: there is no verb ""/);
});

Deno.test("an unforeseen failure is exit code 1, one line and no stack trace", async () => {
  const { error, log } = console;
  const written: string[] = [];
  console.log = () => {
    throw new TypeError("the pipe\nis broken");
  };
  console.error = (text: string) => written.push(text);
  const code = await main(["--version"]).finally(() => Object.assign(console, { error, log }));
  assertEquals(code, 1);
  assertEquals(written, ["cless: this should not have happened: the pipe; is broken"]);
});

Deno.test({
  name: "the process ends with the exit code, and writes errors only to stderr",
  ignore: noRun || noRead,
  fn: async () => {
    assertEquals(await runProcess("--version"), { code: 0, out: `cless ${VERSION}\n`, err: "" });
    const wrong = await runProcess("serve", "--stop-after", "-1s");
    assertEquals({ ...wrong, err: "" }, { code: 2, out: "", err: "" });
    assertStringIncludes(wrong.err, 'cless: --stop-after: "-1s" is not allowed: expected a duration such as');
    assertEquals(wrong.err.trimEnd().split("\n").length, 1);
  },
});

apiTest("a wrong name, and one argument too many or too few, are exit code 2", ANSWERS, async (api) => {
  const cases: [args: string[], message: string][] = [
    [["describe"], "describe needs NAME: cless describe NAME"],
    [["describe", ".."], '".." is not a valid name'],
    [["describe", ""], '"" is not a valid name'],
    [["describe", "web", "shop"], 'describe takes no argument "shop"; see cless describe --help'],
    [["services", "--jsn"], "unknown flag --jsn; did you mean --json?"],
  ];
  for (const [args, message] of cases) {
    assertEquals(await api.run(...args), { code: 2, out: "", err: `cless: ${message}` });
  }
  assertEquals(api.asked.length, 0);
});

Deno.test({
  name: "all mistakes in the flags of any verb are told at once, and help is shown all the same",
  ignore: noSettings,
}, async () => {
  const cases: [args: string[], named: string[]][] = [
    [["serve", "--lisen", "x", "--admin", "y", "--stop-after=soon", "--domain"], [
      "domain",
      "lisen",
      "admin",
      "stop-after",
    ]],
    [["https", "run", "--domain", "x y", "--key", "a", "--http-port", "0", "--dry-run"], [
      ...["domain", "dry-run", "cert", "http-port"],
    ]],
    [["logs", "web", "--tail", "all", "--server", "x y", "--folow"], ["folow", "tail", "server"]],
    [["what-if", "--stop-after", "x", "--days", "y", "--json=1"], ["json", "stop-after", "days"]],
    [["history", "--limit=all", "--token="], ["token", "limit"]],
  ];
  for (const [args, named] of cases) {
    const { code, err, out } = await runMain(...args);
    const told = err.split("\n").map((line) => /--([a-z-]+)/.exec(line)?.[1] ?? "");
    assertEquals([code, out, told.sort()], [2, "", named.sort()], err);
  }
  assertEquals((await runMain("logs", "--folow", "--help")).code, 0);
});

const NO_SERVICE = () => problem(404, "there is no service shpo");

apiTest("a misspelled name of a service is answered with the nearest one", {
  ...ANSWERS,
  "GET /v1/services": [{ name: "blog" }, { name: "shop" }],
  "GET /v1/services/shpo": NO_SERVICE,
  "GET /v1/services/far": () => problem(404, "there is no service far"),
  "GET /v1/services/shpo/deploys": NO_SERVICE,
  "GET /v1/services/shpo/logs": NO_SERVICE,
  "GET /v1/services/shpo/exec": NO_SERVICE,
  "GET /v1/services/shpo/what-if": NO_SERVICE,
  "GET /v1/services/blog/what-if": {},
  "GET /v1/events": new Response("", { headers: { "content-type": "text/event-stream" } }),
}, async (api) => {
  const err = 'cless: there is no service shpo; did you mean "shop"?';
  for (const args of [["describe", "shpo"], ["logs", "shpo"], ["events", "--service", "shpo"]]) {
    assertEquals(await api.run(...args), { code: 1, out: "", err });
  }
  assertEquals((await api.run("what-if", "blog", "shpo")).err, err);
  assertEquals((await api.run("traffic", "shpo", "latest=100")).err, err);
  assertEquals(await api.run("exec", "shpo", "ls"), { code: 125, out: "", err });
  const isNew = "there is no service shpo yet, and a new one needs --image IMAGE";
  const deploy = await api.run("deploy", "shpo", "--port", "80");
  assertEquals(deploy, { code: 2, out: "", err: `cless: ${isNew}; did you mean "shop"?` });
  assertEquals((await api.run("traffic", "far")).err, "cless: there is no service far");
});
