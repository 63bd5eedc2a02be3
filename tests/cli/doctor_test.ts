import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import manifest from "../../deno.json" with { type: "json" };
import { openDataDir } from "../../src/control/data_dir.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { fixtureOf } from "../sqlite/fixture.ts";
import { creationOf } from "../sqlite/kit.ts";
import { noNet } from "../support/permissions.ts";
import { programArgs, type Run, runMain } from "./run_main.ts";

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly fact: string;
  readonly remedy?: string;
}

/** The tools of a test. */
interface Parts {
  readonly docker: FakeDocker;
  /** An empty folder. */
  readonly folder: string;
  /** Runs the doctor with a data-dir in the folder, on free ports; later flags win. */
  doctor(...flags: string[]): Promise<Run>;
}

/** The engine's default network, as `docker network inspect` writes it. */
function bridge(gateway: string): string {
  return `${JSON.stringify({ Name: "bridge", IPAM: { Config: [{ Subnet: "172.17.0.0/16", Gateway: gateway }] } })}\n`;
}

/** A test with an engine without problems, a folder of its own, and the permissions of the program. */
function doctorTest(name: string, fn: (parts: Parts) => Promise<void>): void {
  dockerTest(name, async (docker) => {
    await docker.on("version", "26.1.5\n");
    await docker.on("info", '{"ID":"ID-1","DockerRootDir":"/"}\n');
    await docker.on("network ls", `${"0123456789abcdef".repeat(4)}\n`);
    await docker.on("network inspect", bridge("127.0.0.1"));
    const folder = await Deno.makeTempDir({ prefix: "doctor-" });
    const doctor = (...flags: string[]) => {
      const defaults = {
        "--docker": docker.path,
        "--data-dir": `${folder}/data`,
        "--listen": "127.0.0.1:0",
        "--admin": "127.0.0.1:0",
      };
      const given = flags.map((flag) => flag.split("=")[0]);
      const kept = Object.entries(defaults).filter(([flag]) => !given.includes(flag));
      return runMain("doctor", ...kept.map(([flag, value]) => `${flag}=${value}`), ...flags);
    };
    await fn({ docker, folder, doctor }).finally(() => Deno.remove(folder, { recursive: true }));
  }, { ignore: noFakeDocker || noNet, permissions: manifest.permissions.default as Deno.PermissionOptionsObject });
}

/** The findings of a run that prints JSON, by check. */
function findings(run: Run): Record<string, Finding[]> {
  return Object.groupBy(JSON.parse(run.out) as Finding[], ({ check }) => check) as Record<string, Finding[]>;
}

doctorTest("if everything is well, each check says so, and the exit code is 0", async ({ doctor, folder }) => {
  const { code, err, out } = await doctor();
  assertEquals([code, err], [0, ""]);
  for (const line of out.split("\n").filter((line) => !line.startsWith(" "))) assertMatch(line, /^(ok {2}|warn) {2}\w/);
  assertStringIncludes(out, "ok    engine      Docker 26.1.5 answers");
  assertStringIncludes(out, `ok    data-dir    ${folder}/data can be written`);
  assertStringIncludes(out, "ok    port        127.0.0.1:0 is free");
});

doctorTest("the findings can be printed as JSON", async ({ doctor }) => {
  const run = await doctor("--json");
  const checks = (JSON.parse(run.out) as Finding[]).map(({ check }) => check);
  assertEquals(checks, [
    ...["engine", "data-dir", "port", "port", "files", "memory", "swap"],
    ...["containers", "socket", "freezer", "disk", "networks", "isolation"],
  ]);
  assertEquals(findings(run)["engine"], [{ check: "engine", state: "ok", fact: "Docker 26.1.5 answers" }]);
  if (Deno.build.os === "linux") assertMatch(findings(run)["files"]![0]!.fact, /^\d+ files may be open at once$/);
  assertMatch(findings(run)["disk"]![0]!.fact, /^\d+\.\d GiB are free in \/$/);
});

doctorTest("doctor leaves nothing behind", async ({ doctor, folder }) => {
  await doctor();
  assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
});

doctorTest(
  "without an engine, doctor says what to do, and skips the checks that need one",
  async ({ docker, doctor }) => {
    await docker.on("version", { stderr: "Cannot connect to the Docker daemon.", code: 1 });
    const { code, out } = await doctor();
    assertEquals(code, 1);
    const [fact, remedy] = out.split("\n");
    assertEquals(fact, "FAIL  engine      no Docker engine answers: Cannot connect to the Docker daemon");
    assertEquals(remedy, "                  -> start it (systemctl start docker), or say with DOCKER_HOST where it is");
    assertEquals(Object.keys(findings(await doctor("--json"))), [
      "engine",
      "data-dir",
      "port",
      "files",
      "memory",
      "swap",
    ]);
  },
);

doctorTest("a docker command that does not exist is reported with the remedy", async ({ doctor }) => {
  const run = await doctor("--docker=/nowhere/docker", "--json");
  const [engine] = findings(run)["engine"]!;
  assertEquals(run.code, 1);
  assertEquals(engine!.fact, 'no Docker engine answers: there is no command "/nowhere/docker"');
  assertMatch(engine!.remedy!, /^install Docker .*, or name the command with --docker$/);
});

doctorTest("a variable with a misspelled name is reported with the name that was meant", async ({ doctor }) => {
  Deno.env.set("CLESS_PAUSE_AFTR", "1m");
  try {
    const found = findings(await doctor("--json"))["variables"];
    const fact = "the variable CLESS_PAUSE_AFTR sets nothing";
    assertEquals(found, [{ check: "variables", state: "warning", fact, remedy: "did you mean CLESS_PAUSE_AFTER?" }]);
  } finally {
    Deno.env.delete("CLESS_PAUSE_AFTR");
  }
});

doctorTest("an engine that fails one check fails only that one", async ({ docker, doctor }) => {
  await docker.on("info", { stderr: "Error response from daemon: busy\n", code: 1 });
  const run = await doctor("--json");
  assertEquals(run.code, 1);
  assertEquals(findings(run)["disk"], [{ check: "disk", state: "failed", fact: "busy" }]);
  assertEquals(findings(run)["networks"]![0]!.state, "ok");
});

doctorTest("a port in use is a failure, with the program that has it if that is known", async ({ doctor }) => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const where = `127.0.0.1:${other.addr.port}`;
  const run = await doctor(`--listen=${where}`, "--json");
  assertEquals(run.code, 1);
  const [listen, admin] = findings(run)["port"]!;
  assertEquals([listen!.state, admin!.state], ["failed", "ok"]);
  assert([`${where} is in use`, `${where} is in use by deno (pid ${Deno.pid})`].includes(listen!.fact), listen!.fact);
  assertEquals(listen!.remedy, "stop that program, or choose another port with --listen or --admin");
});

doctorTest("an address of another machine is a failure", async ({ doctor }) => {
  const run = await doctor("--listen=203.0.113.1:0", "--listen=127.0.0.1:0", "--json");
  assertEquals(run.code, 1);
  assertEquals(findings(run)["port"]!.map(({ state }) => state), ["failed", "ok", "ok"]);
  const [clients] = findings(run)["clients"]!;
  assertEquals(clients!.state, "warning");
  assertMatch(clients!.fact, /^203\.0\.113\.1:0 can be reached from other machines, and cless does not close/);
});

doctorTest("the ports of a cless that runs with this data-dir are no failure", async ({ doctor, folder }) => {
  using _running = await openDataDir(`${folder}/data`);
  using port = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const run = await doctor(`--listen=127.0.0.1:${port.addr.port}`, "--json");
  assertEquals(run.code, 0, run.out);
  assertEquals(findings(run)["data-dir"]![0]!.fact, `${folder}/data is in use by a running cless`);
  assertEquals(findings(run)["port"]![0]!.fact, `127.0.0.1:${port.addr.port} is in use by a running cless`);
});

doctorTest("a data-dir that cannot be used is a failure, with what to do", async ({ doctor, folder }) => {
  await Deno.writeTextFile(`${folder}/file`, "");
  const places = [[`${folder}/file`, "is not a folder"], [`${folder}/file/below`, "Not a directory"], [
    "/proc/x/y",
    "",
  ]];
  for (const [path, reason] of places) {
    const run = await doctor(`--data-dir=${path}`, "--json");
    const [finding] = findings(run)["data-dir"]!;
    assertEquals([run.code, finding!.state], [1, "failed"]);
    assertStringIncludes(finding!.fact, `${path} cannot be used: ${reason}`);
    assertEquals(finding!.remedy, "run cless with sudo, or name another folder with --data-dir");
  }
});

doctorTest("a data-dir whose parent folders do not exist yet is fine", async ({ doctor, folder }) => {
  for (const path of [`${folder}/a/b/c/`, `${folder}//a//b`]) {
    assertEquals((await doctor(`--data-dir=${path}`)).code, 0, path);
  }
});

doctorTest("what a dead cless has left behind is a warning, and no failure", async ({ docker, doctor, folder }) => {
  const labels = { "cless.owner": "a1", "cless.data-dir": `${folder}/gone` };
  const network = JSON.stringify({ Name: "cless-a1", Labels: labels });
  await docker.on("network inspect", `${bridge("127.0.0.1")}${network}\n`);
  const run = await doctor();
  assertEquals(run.code, 0);
  assertStringIncludes(
    run.out,
    `warn  networks    cless-a1 was left behind by a cless whose data-dir ${folder}/gone is gone`,
  );
  assertStringIncludes(run.out, "-> docker ps -aq --filter label=cless.owner=a1 | xargs -r docker rm -f");
});

doctorTest("--upstream direct is a failure if the host does not reach containers", async ({ docker, doctor }) => {
  await docker.on("network inspect", bridge("203.0.113.1"));
  assertEquals((await doctor()).code, 0);
  const run = await doctor("--upstream=direct", "--json");
  assertEquals([run.code, findings(run)["containers"]![0]!.remedy], [1, "leave out --upstream direct"]);
});

doctorTest("the memory budget is compared with the machine's memory", async ({ doctor }) => {
  const memory = async (...flags: string[]) => findings(await doctor("--json", ...flags))["memory"]![0]!;
  const most = await memory("--memory-budget=8000000g");
  assertEquals(most.state, Deno.build.os === "linux" ? "warning" : "ok");
  if (Deno.build.os === "linux") assertMatch(most.fact, /; this machine has \d+\.\d GiB$/);
  const least = await memory("--memory-budget=100m");
  assertEquals([least.state, least.fact], [
    "warning",
    "if instances use more than 0.1 GiB, paused ones hibernate or are stopped early",
  ]);
  const none = await memory("--memory-budget=0");
  assertEquals([none.state, none.fact], ["ok", "paused instances are kept, however much memory they use"]);
});

doctorTest(
  "doctor lists revisions and images from before containers had defaults",
  async ({ docker, doctor, folder }) => {
    await docker.on(
      "image ls",
      '{"id":"sha256:1","name":"a-docker","tag":"latest"}\n{"id":"sha256:2","name":"b-docker","tag":"latest"}\n',
    );
    const isolation = async (...flags: string[]) => findings(await doctor("--json", ...flags))["isolation"]!;
    const fine = "every container has the defaults of capabilities, memory and processors";
    assertEquals(await isolation(), [{ check: "isolation", state: "ok", fact: fine }]);
    await Deno.mkdir(`${folder}/data`);
    {
      using store = SqliteStore.open(`${folder}/data`);
      const creation = creationOf("web");
      await store.change({ ...creation, addRevision: { ...creation.addRevision!, older: true } });
      await store.change(creationOf("shop"));
      store.putOlderImages(["sha256:2", "sha256:3"]);
    }
    const [revisions, images, ...more] = await isolation();
    const since = "before containers had defaults of capabilities, memory and processors, and stay so";
    assertEquals(more, []);
    assertEquals([revisions!.state, revisions!.fact], ["warning", `these revisions were made ${since}: web-00001`]);
    assertEquals(revisions!.remedy, "cless deploy NAME --renew makes a new revision");
    assertEquals([images!.fact, images!.remedy], [`these images were there ${since}: b-docker`, "build them again"]);
    assertEquals((await isolation("--no-convention")).map(({ fact }) => fact), [revisions!.fact]);
  },
);

doctorTest(
  "before an update, doctor lists what will go on without the defaults",
  async ({ docker, doctor, folder }) => {
    await docker.on("image ls", '{"id":"sha256:1","name":"a-docker","tag":"latest"}\n');
    await Deno.mkdir(`${folder}/data`);
    {
      using db = new DatabaseSync(`${folder}/data/cless.sqlite`);
      db.exec(await Deno.readTextFile(fixtureOf(2)));
    }
    const [revisions, images] = findings(await doctor("--json"))["isolation"]!;
    assertMatch(revisions!.fact, /: golang-00001, golang-00002, other-00001$/);
    assertMatch(images!.fact, /: a-docker$/);
  },
);

doctorTest("doctor says how the engine is asked, and why not over its socket", async ({ docker, doctor }) => {
  const slow = "containers are started, paused and resumed by the docker command, which is slower";
  const socket = async (...flags: string[]) => findings(await doctor("--json", ...flags))["socket"]![0]!;
  const wrapper = `${slow}: --docker names ${docker.path}, which may do more than ask the engine`;
  assertEquals(await socket(), { check: "socket", state: "ok", fact: wrapper });
  assertEquals((await socket("--engine-api=command")).fact, slow);
  await using engine = await FakeEngine.start();
  engine.on("GET /version", 200, { Version: "26.1.5" });
  engine.on("GET /info", 200, { ID: "ID-1", DockerRootDir: "/" });
  engine.on("GET /networks", 200, []);
  const before = Deno.env.get("DOCKER_HOST");
  Deno.env.set("DOCKER_HOST", `unix://${engine.path}`);
  try {
    const fact = `containers are started, paused and resumed over the socket ${engine.path}`;
    assertEquals(await socket("--engine-api=socket"), { check: "socket", state: "ok", fact });
    Deno.env.set("DOCKER_HOST", "tcp://192.0.2.1:2375");
    const run = await doctor("--json", "--engine-api=socket");
    assertEquals([run.code, findings(run)["engine"]![0]!.state], [1, "failed"]);
    assertStringIncludes(findings(run)["engine"]![0]!.fact, "there is no Docker socket for --engine-api socket");
  } finally {
    if (before === undefined) Deno.env.delete("DOCKER_HOST");
    else Deno.env.set("DOCKER_HOST", before);
  }
});

doctorTest("fewer than 1024 open files are a failure, and fewer than 8192 a warning", async ({ docker, folder }) => {
  const state = async (limit: number) => {
    const args = programArgs("doctor", "--json", "--docker", docker.path, "--data-dir", `${folder}/data`);
    const script = `ulimit -n ${limit} && exec "$@"`;
    const command = new Deno.Command("sh", { args: ["-c", script, "sh", Deno.execPath(), ...args], stdin: "null" });
    const { stdout } = await command.output();
    const [files] = findings({ code: 0, err: "", out: new TextDecoder().decode(stdout) })["files"]!;
    assertEquals(files!.fact, `${limit} files may be open at once`);
    return files!.state;
  };
  assertEquals([await state(1023), await state(1024), await state(8191)], ["failed", "warning", "warning"]);
});
