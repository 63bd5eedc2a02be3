import { assert, assertEquals, assertMatch } from "@std/assert";
import { misspelledVariables } from "../../src/cli/serve.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { noNet } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { programArgs, type Run, runProcess } from "./run_main.ts";

const decoder = new TextDecoder();

/** A test with an engine that has images but no containers, and the flags to serve with it. */
function serveTest(
  name: string,
  fn: (docker: FakeDocker, flags: string[], dataDir: string) => Promise<void>,
): void {
  dockerTest(name, async (docker) => {
    await docker.on("version", "26.1.5\n");
    await docker.on("image ls", '{"id":"sha256:1","name":"rust-docker","tag":"latest"}\n');
    await docker.on("network ls", "");
    await docker.on("network create", "0123\n");
    await docker.on("network rm", "");
    await docker.on("ps", "");
    const dataDir = await Deno.makeTempDir({ prefix: "serve-" });
    const flags = ["serve", "--docker", docker.path, "--data-dir", dataDir, "--admin", "127.0.0.1:0"];
    await fn(docker, flags, dataDir).finally(() => Deno.remove(dataDir, { recursive: true }));
  }, { ignore: noFakeDocker || noNet });
}

/** Starts the program, waits for output that matches, and ends it by a signal. */
async function served(
  stream: "stdout" | "stderr",
  until: RegExp,
  flags: string[],
  { signal = "SIGTERM", meanwhile }: {
    signal?: Deno.Signal;
    meanwhile?: (text: string, child: Deno.ChildProcess) => Promise<unknown>;
  } = {},
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArgs(...flags),
    stdin: "null",
    stdout: stream === "stdout" ? "piped" : "null",
    stderr: stream === "stderr" ? "piped" : "null",
  }).spawn();
  let text = "";
  for await (const chunk of child[stream]) {
    text += decoder.decode(chunk, { stream: true });
    if (!until.test(text)) continue;
    await meanwhile?.(text, child);
    child.kill(signal);
    until = /$^/;
  }
  return { ...await child.status, text };
}

serveTest(
  "serve says where it listens and what to try, and ends with 0 after a signal",
  async (docker, flags, dataDir) => {
    const listen = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--log-format", "text"];
    const { code, text } = await served("stdout", /curl .*\n/, [...flags, ...listen]);
    assertEquals(code, 0);
    const lines = text.split("\n");
    assertMatch(lines[0]!, /^cless \d+\.\d+\.\d+$/);
    const [, first] = /^ {2}serving {5}http:\/\/127\.0\.0\.1:(\d+) {2}http:\/\/127\.0\.0\.1:\d+$/.exec(lines[1]!) ?? [];
    assertMatch(lines[2]!, /^ {2}admin API {3}http:\/\/127\.0\.0\.1:\d+ {2}\(token: .*\)$/);
    assert(lines[2]!.endsWith(`(token: ${dataDir}/admin-token)`));
    assertMatch(lines[3]!, /^ {2}dashboard {3}http:\/\/admin\.localhost:\d+\/$/);
    const example = `http://rust.localhost:${first}`;
    assertEquals(lines.slice(4), [`  try it      ${example}`, `              curl ${example}`, ""]);
    assertEquals((await docker.calls("network rm")).length, 1);
  },
);

serveTest("the URL that serve says to try is like the public one, wherever it listens", async (_, flags) => {
  const more = ["--listen", "127.0.0.1:0", "--public-url", "https://example.org:8443", "--log-format", "text"];
  const { code, text } = await served("stdout", /curl .*\n/, [...flags, ...more]);
  assertEquals(code, 0);
  assertMatch(text, /^ {2}try it {6}https:\/\/rust\.example\.org:8443$/m);
});

serveTest("a public URL with a path is refused in one line, with exit code 2", async (_, flags) => {
  const { code, text } = await served("stderr", /$^/, [...flags, "--public-url", "https://example.org/apps"]);
  assertEquals(code, 2);
  assertMatch(text, /^cless: --public-url: "https:\/\/example\.org\/apps" is not allowed: .*no path or query\n$/);
});

serveTest("without images, serve says how to make one, with the given domain", async (docker, flags) => {
  await docker.on("image ls", "");
  const more = ["--listen", "127.0.0.1:0", "--domain", "example.org", "--log-format", "text"];
  const { code, text } = await served("stdout", /answers at .*\n/, [...flags, ...more], { signal: "SIGINT" });
  assertEquals(code, 0);
  const told =
    /no image here is named NAME-docker yet; build one, and it answers at http:\/\/NAME\.example\.org:\d+\n$/;
  assertMatch(text, told);
});

serveTest("in a JSON log, the same is one line", async (_docker, flags, dataDir) => {
  const { code, text } = await served("stderr", /"serving".*\n/, [...flags, "--listen", "127.0.0.1:0"]);
  assertEquals(code, 0);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ message }) => message), ["serving", "stopping", "stopped"]);
  const { admin, example, level, listen, tokenFile } = lines[0];
  assertMatch(admin, /^127\.0\.0\.1:\d+$/);
  assertEquals([level, tokenFile, example], [
    "info",
    `${dataDir}/admin-token`,
    `http://rust.localhost:${listen[0].split(":")[1]}`,
  ]);
});

/** What is at a path: nothing, as long as there is no file. */
async function textAt(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

serveTest(
  "the access log has a line for each request, also the last one, and goes on in a new file after SIGHUP",
  async (_docker, flags, dataDir) => {
    const [path, older] = [`${dataDir}/access.log`, `${dataDir}/access.log.1`];
    const more = ["--listen", "127.0.0.1:0", "--no-convention", "--access-log", path];
    const { code } = await served("stderr", /"serving".*\n/, [...flags, ...more], {
      meanwhile: async (text, child) => {
        const { listen: [proxy] } = JSON.parse(text.split("\n").find((line) => line.includes('"serving"'))!);
        const ask = async (target: string) => await (await fetch(`http://${proxy}${target}`)).body?.cancel();
        await ask("/1?secret");
        await until(async () => (await textAt(path)).endsWith("\n"));
        await Deno.rename(path, older);
        child.kill("SIGHUP");
        await until(async () => await Deno.stat(path).then(() => true, () => false));
        await ask("/2");
        await ask("/3");
      },
    });
    assertEquals(code, 0);
    const targetsOf = async (file: string) =>
      (await textAt(file)).trimEnd().split("\n").map((line) => JSON.parse(line).target);
    assertEquals([await targetsOf(older), await targetsOf(path)], [["/1"], ["/2", "/3"]]);
  },
);

serveTest("the access log may be the standard output, which then has nothing else", async (_docker, flags) => {
  const more = ["--listen", "127.0.0.1:0", "--no-convention", "--log-format", "text", "--access-log", "-"];
  const args = programArgs(...flags, ...more, "--access-log-format", "combined", "--access-log-query");
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  let told = "";
  const out = new Response(child.stdout).text();
  for await (const chunk of child.stderr) {
    told += decoder.decode(chunk, { stream: true });
    const proxy = /serving +(http:\S+)\n/.exec(told)?.[1];
    if (proxy === undefined || !told.includes("  admin API")) continue;
    await (await fetch(`${proxy}/x?y`, { headers: { "user-agent": "a b" } })).body?.cancel();
    child.kill("SIGTERM");
    told = "";
  }
  assertEquals((await child.status).code, 0);
  assertMatch(await out, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/x\?y HTTP\/1\.1" 400 - "-" "a b"\n$/);
});

serveTest("an access log that cannot be opened is an error in one line, with exit code 1", async (_docker, flags) => {
  const { code, text } = await served("stderr", /$^/, [...flags, "--access-log", "/none/access.log"]);
  assertEquals(code, 1);
  assertMatch(text, /^cless: cannot open the access log \/none\/access\.log: [^\n]*; see --access-log\n$/);
});

serveTest("a verb with the same data-dir finds where serve listens, and a clean exit leaves no trace of that", async (
  _docker,
  flags,
  dataDir,
) => {
  let run: Run | undefined;
  const more = ["--listen", "127.0.0.1:0", "--log-format", "text"];
  const { code, text } = await served("stdout", /curl .*\n/, [...flags, ...more], {
    meanwhile: async () => run = await runProcess("services", "--json", "--data-dir", dataDir),
  });
  assertEquals([code, run], [0, { code: 0, out: "[]\n", err: "" }], text);
  assertEquals(await Array.fromAsync(Deno.readDir(dataDir)).then((all) => all.map(({ name }) => name).sort()), [
    ...["admin-token", "cless.sqlite", "lock", "owner", "secret-key"],
  ]);
});

serveTest("a reason for which serve cannot start is one line and exit code 1", async (docker, flags, dataDir) => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = `127.0.0.1:${other.addr.port}`;
  await Deno.writeTextFile(`${dataDir}/file`, "");
  const cases: [flags: string[], message: RegExp][] = [
    [
      ["--listen", taken],
      /^cless: .*127\.0\.0\.1:\d+.* in use( by deno \(pid \d+\))?; choose another one with --listen or --admin$/,
    ],
    [
      ["--data-dir", `${dataDir}/file`],
      /^cless: cannot use the data-dir .*\/file: it is a file; name another one with --data-dir$/,
    ],
    [
      ["--docker", "/nowhere/docker"],
      /^cless: no Docker engine answers: there is no command "\/nowhere\/docker"; install Docker/,
    ],
  ];
  for (const [more, message] of cases) {
    const replaced = flags.map((flag, at) => flags[at - 1] === more[0] ? more[1]! : flag);
    const listen = more[0] === "--listen" ? more : ["--listen", "127.0.0.1:0"];
    const { code, err, out } = await runProcess(...replaced, ...listen);
    assertEquals([code, out], [1, ""], err);
    assertMatch(err.trimEnd(), message);
    assertEquals(err.split("\n").length, 2, err);
  }
  assert((await docker.calls("run")).length === 0);
});

Deno.test("a variable whose name is nearly that of a setting is found, and no other one", () => {
  const others = ["HOME", "CLESS_PAUSE_AFTER", "CLESS_SERVER", "CLESS_SECRET_KEY", "CLESS_BIN", "CLESS_", "PAUSE_AFTR"];
  assertEquals(misspelledVariables([...others, "CLESS_PAUSE_AFTR", "CLESS_LISTN"]), [
    { name: "CLESS_PAUSE_AFTR", nearest: "CLESS_PAUSE_AFTER" },
    { name: "CLESS_LISTN", nearest: "CLESS_LISTEN" },
  ]);
});
