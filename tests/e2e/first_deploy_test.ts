import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { build, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const decoder = new TextDecoder();

/** The arguments of deno that run a verb of the command line against a program. */
function verb(program: Program, ...args: string[]): string[] {
  const { hostname, port } = program.admin;
  return [
    "run",
    "-A",
    "--quiet",
    "main.ts",
    ...args,
    "--server",
    `http://${hostname}:${port}`,
    "--data-dir",
    program.dataDir,
  ];
}

/** Runs a verb to its end. */
async function cless(program: Program, ...args: string[]) {
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: verb(program, ...args),
    stdin: "null",
  })
    .output();
  return { code, out: decoder.decode(stdout).trim(), err: decoder.decode(stderr).trim() };
}

/** An image whose app runs a line of Python. */
function appImage(name: string, python: string) {
  return build(name, `FROM python-docker\nENTRYPOINT ["python3", "-u", "-c", ${JSON.stringify(python)}]\n`);
}

Deno.test({
  name:
    "a first deploy says what it waits for, with the app's last line, and can be looked at, followed and called off meanwhile",
  ignore: noDocker,
}, async () => {
  await using program = await Program.start();
  await using _image = await appImage("e2e-first-slow", "import time; print('migrating table 3'); time.sleep(600)");
  const deploying = new Deno.Command(Deno.execPath(), {
    args: verb(program, "deploy", "slow", "--image", "e2e-first-slow", "--start-timeout", "2m"),
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  let said = "";
  for await (const piece of deploying.stderr.values({ preventCancel: true })) {
    said += decoder.decode(piece);
    if (said.includes("last line")) break;
  }
  assertMatch(said, /\d+s: nothing listens on port 8080 yet; last line: migrating table 3\n/);
  const { out } = await cless(program, "describe", "slow");
  assertMatch(out, /\nState: +deploying for \d+s: nothing listens on port 8080 yet/);
  assertStringIncludes((await cless(program, "logs", "slow")).out, "| migrating table 3");
  deploying.kill("SIGINT");
  for await (const piece of deploying.stderr) said += decoder.decode(piece);
  assertEquals((await deploying.status).code, 130);
  const hint = "the deploy continues; cless describe slow shows how far it is, and how it has ended\n";
  assertStringIncludes(said, hint);
  assertEquals((await program.containers("slow")).length, 1);
  assertEquals((await cless(program, "delete", "slow", "--yes")).out, "slow is not deployed: its deploy is called off");
  assertEquals(await program.containers("slow"), []);
  assertMatch((await cless(program, "describe", "slow")).out, /\nState: +never worked\n[^]*was called off after/);
});

Deno.test({
  name: "a first deploy that failed keeps its output over a restart of cless, until it is deleted",
  ignore: noDocker,
}, async () => {
  await using _image = await appImage("e2e-first-broken", "print('no DATABASE_URL'); exit(3)");
  const look = async (program: Program) => {
    const { code, out, err } = await cless(program, "logs", "broken");
    assertEquals([code, out], [0, "broken-00001 | no DATABASE_URL"], err);
    assertMatch(err, /^broken does not run; of its last deploy, .*: broken-00001 failed after .* ended with code 3/);
    const described = (await cless(program, "describe", "broken")).out;
    assertMatch(described, /State: +never worked\n\nLast deploy\n +broken-00001 failed .*\n +no DATABASE_URL\n/);
  };
  await using first = await Program.start();
  const deployed = await cless(first, "deploy", "broken", "--image", "e2e-first-broken");
  assertEquals([deployed.code, deployed.err.split("\n").at(-1)], [1, "  no DATABASE_URL"]);
  await look(first);
  assertEquals(await first.end(), 0);
  const program = await Program.start({ dataDir: first.dataDir });
  await using _end = { [Symbol.asyncDispose]: async () => void await program.end() };
  await look(program);
  const { out } = await cless(program, "delete", "broken", "--yes");
  assertEquals(out, "broken never worked; what was kept of its deploys is deleted");
  const { code, err } = await cless(program, "describe", "broken");
  assertEquals([code, err], [1, "cless: there is no service broken"]);
});
