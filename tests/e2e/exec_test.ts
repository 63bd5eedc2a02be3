import { assert, assertEquals, assertMatch } from "@std/assert";
import { programArgs, type Run } from "../cli/run_main.ts";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { PseudoTerminal } from "../support/pseudo_terminal.ts";
import { SwapFile } from "../support/swap_file.ts";
import { until } from "../support/until.ts";

const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

function dockerTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noDocker }, fn);
}

function argsOf(program: Program, args: readonly string[]): string[] {
  const { hostname, port } = program.admin;
  return programArgs("exec", "--data-dir", program.dataDir, "--server", `http://${hostname}:${port}`, ...args);
}

function spawn(program: Program, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: argsOf(program, args),
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
}

/** Runs `cless exec` to its end. */
async function exec(program: Program, input: string | Uint8Array, ...args: string[]): Promise<Run> {
  const child = spawn(program, ...args);
  const feeding = (async () => {
    const writer = child.stdin.getWriter();
    await writer.write(typeof input === "string" ? encoder.encode(input) : input);
    await writer.close();
  })().catch(() => {}); // the command may end before it has read all
  const { code, stderr, stdout } = await child.output();
  await feeding;
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

async function stateOf(program: Program): Promise<unknown> {
  return (await program.api("/v1/instances"))[0]?.state;
}

for (const api of ["socket", "command"]) {
  dockerTest(
    `${api}: a command runs in a service that slept, with its input, both outputs and its exit code`,
    async () => {
      await using program = await Program.start({ flags: ["--engine-api", api] });
      const script = 'cat; echo "$1" >&2; exit 7';
      const run = await exec(program, "input\n", "python", "--", "sh", "-c", script, "-", "a  b");
      assertEquals(run, { code: 7, out: "input\n", err: "a  b\n" });
      const shell = await exec(program, "echo $0; exit 3\n", "python");
      assertEquals(shell, { code: 3, out: "bash\n", err: "" });
      const root = await exec(program, "", "python", "--user", "0:0", "--", "id", "-u");
      assertEquals(root, { code: 0, out: "0\n", err: "" });
    },
  );

  dockerTest(`${api}: what cannot be run is said on one line, with the codes of docker`, async () => {
    await using program = await Program.start({ flags: ["--engine-api", api] });
    const fails = async (...args: string[]) => {
      const { code, err, out } = await exec(program, "", ...args);
      assertEquals(out, "");
      assertMatch(err, /^cless: [^\n]+\n$/);
      return [code, err.slice("cless: ".length, -1)] as const;
    };
    const [missing, why] = await fails("python", "--", "nosuch");
    assertEquals([missing, why], [127, 'the command cannot be run: "nosuch": executable file not found in $PATH']);
    assertEquals((await fails("python", "--", "/etc"))[0], 126);
    assertEquals((await fails("python", "--user", "nobody7", "--", "id"))[0], 126);
    const noShell = "the image has no shell; name a program that it has, as in cless exec NAME -- /app --version";
    assertEquals(await fails("golang"), [127, noShell]);
    assertEquals(await fails("nosuch", "--", "ls"), [125, "there is no service nosuch"]);
  });

  dockerTest(`${api}: much output and much input pass unchanged, however slowly they are read`, async () => {
    await using program = await Program.start({ flags: ["--engine-api", api] });
    const child = spawn(program, "python", "--no-stdin", "--", "head", "-c", "30000000", "/dev/zero");
    let bytes = 0;
    for await (const piece of child.stdout) {
      if (bytes < 3_000_000) await new Promise((resolve) => setTimeout(resolve, 1));
      bytes += piece.length;
    }
    const [{ code }] = [await child.status, await child.stderr.cancel(), await child.stdin.close().catch(() => {})];
    assertEquals([code, bytes], [0, 30_000_000]);
    const sent = Uint8Array.from({ length: 5_000_000 }, (_, at) => at * 31 % 251);
    const sum = (await exec(program, sent, "python", "--", "sh", "-c", "sleep 0.3; sha256sum")).out;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", sent)).toHex();
    assertEquals(sum, `${digest}  -\n`);
  });
}

dockerTest("a paused instance is woken, stays awake while the command runs, and is paused again after it", async () => {
  const flags = ["--pause-after", "300ms", "--hibernate-after", "0"];
  await using program = await Program.start({ flags });
  assertEquals((await program.get("python")).status, 200);
  await until(async () => await stateOf(program) === "paused");
  const [{ id } = {}] = await program.api("/v1/instances");
  const child = spawn(program, "python", "--instance", String(id), "--", "cat");
  const writer = child.stdin.getWriter();
  await writer.write(encoder.encode("one "));
  await program.logged("exec started");
  await new Promise((resolve) => setTimeout(resolve, 1500)); // five times as long as until a pause
  const [instance] = await program.api("/v1/instances");
  assertEquals([instance!.id, instance!.state, instance!.inFlight, instance!.sessions], [id, "ready", 0, 1]);
  await writer.write(encoder.encode("two"));
  await writer.close();
  const { code, stdout } = await child.output();
  assertEquals([code, decoder.decode(stdout)], [0, "one two"]);
  await until(async () => await stateOf(program) === "paused");
  const events = await (await fetchEvents(program)).text();
  assertMatch(events, /event: exec\.started\ndata: [^\n]*"by":"admin","command":"cat"/);
  assertMatch(events, /event: exec\.ended\n/);
});

async function fetchEvents(program: Program): Promise<Response> {
  const { text } = await program.send("GET", "/v1/events?follow=false");
  return new Response(text);
}

Deno.test(
  { name: "a hibernated instance is woken for a command", ignore: noDocker || Deno.uid() !== 0 },
  async () => {
    const folder = await Deno.makeTempDir();
    await using made = new AsyncDisposableStack();
    made.defer(() => Deno.remove(folder, { recursive: true }));
    made.use(await SwapFile.make(`${folder}/swap`, 256));
    const flags = ["--pause-after", "200ms", "--hibernate-after", "400ms", "--stop-after", "10m"];
    const program = made.use(await Program.start({ flags }));
    assertEquals((await program.get("python")).status, 200);
    await until(async () => await stateOf(program) === "hibernated");
    assertEquals(await exec(program, "", "python", "--", "echo", "awake"), { code: 0, out: "awake\n", err: "" });
  },
);

for (const api of ["socket", "command"]) {
  Deno.test(
    {
      name: `${api}: at a terminal, a shell has its size, Ctrl-C and a new size reach it, and the terminal is restored`,
      ignore: noDocker || Deno.build.os !== "linux",
    },
    async () => {
      await using program = await Program.start({ flags: ["--engine-api", api] });
      // bash would write more than the screen of this test knows.
      const args = [Deno.execPath(), ...argsOf(program, ["python", "--", "sh"])];
      await using terminal = PseudoTerminal.start(args, { columns: 97, rows: 31 });
      /** Types a line when the shell waits for one. */
      const type = async (line: string) => {
        await terminal.until(({ text }) => text.trimEnd().endsWith("\n$"));
        await terminal.press(`${line}\r`);
      };
      await type("stty size");
      await terminal.shows("\n31 97\n");
      await type("cat");
      await terminal.press("mew\r");
      await terminal.shows("\nmew\nmew\n"); // shown by the terminal, and then by cat
      await terminal.press("\x03");
      await type("echo again $?");
      await terminal.shows("\nagain 130\n");
      await terminal.resize(132, 50);
      // The size is asked for until the new one has arrived.
      await type("until stty size | grep '50 132'; do sleep 0.05; done");
      await terminal.shows("\n50 132\n");
      await type("exit 9");
      await terminal.end();
      assertEquals([terminal.code, terminal.settings.after], [9, terminal.settings.before]);
    },
  );
}

dockerTest("a cless that stops ends its sessions at once with one line, and its containers too", async () => {
  await using program = await Program.start();
  const child = spawn(program, "python", "--", "sleep", "1000");
  await program.logged("exec started");
  const began = performance.now();
  const ended = program.end();
  const { code, stderr } = await child.output();
  assertEquals([code, decoder.decode(stderr)], [125, "cless: the session is over, since cless is stopping\n"]);
  assertEquals(await ended, 0);
  assert(performance.now() - began < 20_000, "it has not waited for the drain timeout");
  assertEquals(await program.containers(), []);
  await child.stdin.close().catch(() => {});
});

dockerTest(
  "a session goes on while another process takes over, and at the drain timeout it ends with one line",
  async () => {
    const old = await Program.start({ flags: ["--drain-timeout", "4s", "--pause-after", "500ms"] });
    const child = spawn(old, "python", "--", "cat");
    const writer = child.stdin.getWriter();
    await old.logged("exec started");
    await using _next = await Program.start({
      dataDir: old.dataDir,
      flags: ["--take-over", "--drain-timeout", "4s", "--pause-after", "500ms"],
    });
    const output = child.stdout.getReader();
    await writer.write(encoder.encode("still here"));
    assertEquals(decoder.decode((await output.read()).value), "still here");
    await output.cancel();
    const err = await new Response(child.stderr).text();
    const line = "the session is over, since a new process of cless has taken over; it can be opened again";
    assertEquals([(await child.status).code, err], [125, `cless: ${line}\n`]);
    assertEquals(await old.exit(), 0);
    await writer.close().catch(() => {});
  },
);

dockerTest(
  "a deploy waits for a session up to the drain timeout, and then the session ends with its instance",
  async () => {
    await using program = await Program.start({ flags: ["--drain-timeout", "2s"] });
    await program.send("PUT", "/v1/services/shop", { image: "python-docker" });
    const child = spawn(program, "shop", "--", "cat");
    const writer = child.stdin.getWriter();
    await program.logged("exec started");
    assertEquals(
      (await program.send("PUT", "/v1/services/shop", { image: "python-docker", env: { A: "b" } })).status,
      200,
    );
    const output = child.stdout.getReader();
    await writer.write(encoder.encode("still here"));
    assertEquals(decoder.decode((await output.read()).value), "still here");
    await output.cancel();
    const err = await new Response(child.stderr).text();
    assertEquals((await child.status).code, 137);
    assertMatch(err, /^cless: the instance (\S+ )?has ended\n$/);
    await writer.close().catch(() => {});
  },
);

dockerTest("a command whose client is killed gets the end of its input, and keeps nothing awake any more", async () => {
  await using program = await Program.start({ flags: ["--pause-after", "500ms", "--hibernate-after", "0"] });
  const child = spawn(program, "python", "--", "sh", "-c", "echo here; cat; echo over >/tmp/over");
  const output = child.stdout.getReader();
  assertEquals(decoder.decode((await output.read()).value), "here\n");
  child.kill("SIGKILL");
  await child.status;
  await Promise.all([output.cancel(), child.stderr.cancel(), child.stdin.close().catch(() => {})]);
  await program.logged("exec ended");
  await until(async () => await stateOf(program) === "paused");
  assertEquals(await exec(program, "", "python", "--", "cat", "/tmp/over"), { code: 0, out: "over\n", err: "" });
});

dockerTest(
  "over the proxy, sessions are opened at the admin host by the same rules, also with an access log",
  async () => {
    const folder = await Deno.makeTempDir();
    await using made = new AsyncDisposableStack();
    made.defer(() => Deno.remove(folder, { recursive: true }));
    const program = made.use(await Program.start({ flags: ["--access-log", `${folder}/access.log`] }));
    const token = (await Deno.readTextFile(`${program.dataDir}/admin-token`)).trim();
    const open = async (headers: Record<string, string>, isWhole: RegExp) => {
      using connection = await Deno.connect(program.proxy);
      const all = {
        host: "admin.localhost",
        authorization: `Bearer ${token}`,
        upgrade: "websocket",
        connection: "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const path = "/v1/services/python/exec?command=echo&command=over+the+proxy";
      await connection.write(encoder.encode(`GET ${path} HTTP/1.1\r\n${lines}\r\n`));
      const room = new Uint8Array(10_000);
      let text = "";
      while (!isWhole.test(text)) text += decoder.decode(room.subarray(0, await connection.read(room) ?? 0));
      return text;
    };
    assertMatch(await open({ origin: "http://evil.localhost" }, /\r\n\r\n/), /^HTTP\/1\.1 403 /);
    assertMatch(await open({ "x-forwarded-for": "203.0.113.9" }, /\r\n\r\n/), /^HTTP\/1\.1 404 /);
    const text = await open({}, /\{"code":0\}/);
    assertMatch(text, /^HTTP\/1\.1 101 /);
    assertMatch(text, /over the proxy\n/);
    await until(async () => /"status":101/.test(await Deno.readTextFile(`${folder}/access.log`)));
  },
);

dockerTest("an image of its own has a shell if it has one, and a service that cannot start says why", async () => {
  await using program = await Program.start();
  await using _image = await build(
    "e2e-broken-docker",
    'FROM python-docker\nENTRYPOINT ["sh", "-c", "echo no database; exit 3"]',
  );
  const { code, err } = await exec(program, "", "e2e-broken", "--", "ls");
  assertEquals(code, 125);
  assertMatch(err, /^cless: the revision \S+ did not become ready: .*\n {2}no database\n$/);
  assertEquals(await docker("ps", "--quiet", "--filter=label=cless.service=e2e-broken"), "");
});
