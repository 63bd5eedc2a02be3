import { assert, assertEquals } from "@std/assert";
import { docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** A docker command that does what a shell script says before it does what it should. */
async function wrapped(script: string): Promise<string> {
  const path = `${await Deno.makeTempDir()}/docker`;
  await Deno.writeTextFile(path, `#!/bin/sh\n${script}\nexec docker "$@"\n`, { mode: 0o755 });
  return path;
}

Deno.test({ name: "an engine that takes long for each command is waited for", ignore: noDocker }, async () => {
  const path = await wrapped(`case "$1" in events) ;; *) sleep 0.4 ;; esac`);
  await using program = await Program.start({ flags: ["--docker", path] });
  const [one, two] = await Promise.all([program.get("golang"), program.get("rust")]);
  assertEquals([one.status, two.status], [200, 200]);
  assertEquals(await program.end(), 0);
  assertEquals(await program.containers(), []);
});

Deno.test({ name: "a docker command that prints warnings on its output is understood", ignore: noDocker }, async () => {
  const path = await wrapped(`echo "WARNING: something or other {not json}"`);
  await using program = await Program.start({ flags: ["--docker", path] });
  assertEquals((await program.get("golang")).status, 200);
  assertEquals((await program.api("/v1/instances")).length, 1);
  assertEquals(await program.end(), 0);
  assertEquals(await program.containers(), []);
});

Deno.test(
  { name: "an engine that fails now and then leads to clear answers, and nothing is leaked", ignore: noDocker },
  async () => {
    const counter = await Deno.makeTempFile();
    const path = await wrapped(
      `case "$1" in run|rm|stop|ps) echo x >>${counter}; n=$(wc -l <${counter})
     [ $((n % 3)) -eq 0 ] && { echo "Error response from daemon: no luck" >&2; exit 1; } ;; esac`,
    );
    await using program = await Program.start({ flags: ["--docker", path] });
    const answers = new Map<string, number>();
    for (let i = 0; i < 8; i++) {
      const { status, headers } = await program.get("golang");
      const answer = `${status} ${headers.get("cless-error") ?? ""}`.trim();
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      const [name] = await program.containers("golang");
      if (name !== undefined) await docker("kill", name).catch(() => {});
    }
    const { 200: served = 0, "502 start_failed": failed = 0, "503 crash_loop": refused = 0 } = Object.fromEntries(
      answers,
    );
    assertEquals(served + failed + refused, 8, JSON.stringify([...answers]));
    assert(served > 0);
    // Instances that are killed soon are none that make the failures before them forgotten.
    assert(refused === 0 || failed >= 3, JSON.stringify([...answers]));
    assertEquals(await program.end(), 0);
    assertEquals(await program.containers(), []);
  },
);

Deno.test(
  { name: "an event stream that breaks off is taken up again, and nothing is missed", ignore: noDocker },
  async () => {
    const path = await wrapped(`[ "$1" = events ] && exec timeout 1 docker "$@"`);
    await using program = await Program.start({ flags: ["--docker", path] });
    await program.get("golang");
    const [name] = await program.containers("golang");
    await program.logged("the engine's events have ended; listening again");
    await docker("kill", name!);
    assertEquals((await program.get("golang")).status, 200);
    assert((await program.containers("golang"))[0] !== name);
  },
);

Deno.test({ name: "without any events, a dead container is found all the same", ignore: noDocker }, async () => {
  const path = await wrapped(`[ "$1" = events ] && exit 1`);
  await using program = await Program.start({ flags: ["--docker", path] });
  assertEquals((await program.get("golang")).status, 200);
  const [name] = await program.containers("golang");
  await docker("kill", name!);
  assertEquals((await program.get("golang")).status, 200);
});

Deno.test({ name: "a stream of unknown hostnames costs the engine nothing", ignore: noDocker }, async () => {
  const calls = await Deno.makeTempFile();
  const path = await wrapped(`echo "$1" >>${calls}`);
  await using program = await Program.start({ flags: ["--docker", path] });
  await program.get("golang");
  const count = async () => (await Deno.readTextFile(calls)).split("\n").length;
  const before = await count();
  for (let i = 0; i < 500; i++) assertEquals((await program.get(`unknown-${i}`)).status, 404);
  assert(await count() - before <= 1, "at most the periodic list");
});

Deno.test({ name: "a network that somebody has removed is made again", ignore: noDocker }, async () => {
  await using program = await Program.start();
  const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
  await docker("network", "rm", `cless-${owner}`);
  assertEquals((await program.get("golang")).status, 200);
});

Deno.test(
  { name: "SIGTERM before the engine tells what there is: who waits is told in time", ignore: noDocker },
  async () => {
    const path = await wrapped(`[ "$1" = ps ] && exit 1`);
    await using program = await Program.start({ flags: ["--docker", path, "--drain-timeout", "300ms"] });
    const held = program.get("golang");
    await until(async () => /^cless_requests_pending.* 1$/m.test((await program.send("GET", "/metrics")).text));
    const began = performance.now();
    program.signal("SIGTERM");
    const { status, headers } = await held;
    assertEquals([status, headers.get("cless-error")], [503, "draining"]);
    assert(performance.now() - began < 5000);
    assertEquals(await program.exit(), 0);
  },
);

Deno.test({ name: "SIGTERM ends a start that the engine lets hang", ignore: noDocker }, async () => {
  const path = await wrapped(`[ "$1" = image ] && exec sleep 60`);
  const calls = await Deno.makeTempDir();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "main.ts", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
      ...["--data-dir", calls, "--docker", path, "--log-format", "json", "--log-level", "debug"],
    ],
    stderr: "piped",
  }).spawn();
  let log = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    // By then the engine has been found, and the list of images is being waited for.
    if (!log.includes("network made") && (log + text).includes("network made")) child.kill("SIGTERM");
    log += text;
  }
  assertEquals((await child.status).code, 0);
  assert(log.includes("stopping before the start has ended"), log);
  const owner = (await Deno.readTextFile(`${calls}/owner`)).trim();
  await docker("network", "rm", `cless-${owner}`).catch(() => {});
});
