import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { noDocker } from "../support/docker.ts";
import { fillUp, mayMount, mount, unmount } from "../support/mounts.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";
import { Load } from "./load.ts";

const DOMAINS = ["one.example.org", "two.example.org", "three.example.org", "four.example.org"];

/** A test whose program keeps its data on a small disk of its own. */
function smallDiskTest(name: string, fn: (program: Program, disk: string) => Promise<void>): void {
  if (noDocker || !mayMount) return;
  Deno.test(name, async () => {
    const disk = await Deno.makeTempDir({ prefix: "disk-" });
    assert(await mount("-t", "tmpfs", "-o", "size=2m", "none", disk));
    try {
      await using program = await Program.start({ dataDir: `${disk}/data`, logLevel: "info" });
      await fn(program, disk);
    } finally {
      await unmount(disk);
      await Deno.remove(disk);
    }
  });
}

/** A service that is being asked all the time, and changes of it. */
async function underLoad(program: Program) {
  const put = (greeting: string, more = {}) =>
    program.send("PUT", "/v1/services/app", { image: "golang-docker", env: { GREETING: greeting }, ...more });
  const domain = async (name: string) => (await put("kept", { domains: [name] })).status;
  assertEquals((await put("kept")).status, 201);
  const load = new Load();
  for (const fresh of [false, false, true]) load.begin(program, "app", fresh);
  /** All that changes something is refused, and nothing is changed by that. */
  const refusesAll = async (reason: RegExp) => {
    const show = async () => ({ ...(await program.send("GET", "/v1/services/app")).json, cost: undefined }); // it grows
    const before = await show();
    const answers = [
      await put("another"),
      await put("at once", { domains: [] }),
      await program.send("PUT", "/v1/services/app/traffic", [{ revision: "app-00001", percent: 100 }]),
      await program.send("DELETE", "/v1/services/app"),
      await program.send("PUT", "/v1/services/new?wait=false", { image: "golang-docker" }),
      await program.send("PUT", "/v1/secrets/one", "value", { "content-type": "text/plain" }),
      await program.send("POST", "/v1/tokens", { name: "one", scope: "read" }),
    ];
    for (const { status, json } of answers) {
      assertEquals([status, json.code], [503, "store_unavailable"]);
      assertMatch(json.detail, reason);
    }
    assertEquals(await show(), before);
    assertEquals((await program.send("GET", "/v1/services/new")).status, 404);
  };
  return { load, domain, refusesAll };
}

/** What a program that was killed has kept of the service's domains. */
async function keptAfterKill(program: Program): Promise<string[]> {
  program.signal("SIGKILL");
  await program.exit();
  const next = await Program.start({ dataDir: program.dataDir, logLevel: "info" }); // the folder is the other one's to remove
  assertStringIncludes((await next.get("app")).text, "kept from Go");
  const { json } = await next.send("GET", "/v1/services/app");
  await next.end();
  return json.domains;
}

smallDiskTest("a full disk and a locked database refuse changes alone, and requests go on", async (program, disk) => {
  const { load, domain, refusesAll } = await underLoad(program);
  assertEquals(await domain(DOMAINS[0]!), 200);
  fillUp(`${disk}/filler`);
  let kept = 0;
  while (await domain(DOMAINS[(kept + 1) % DOMAINS.length]!) === 200) kept++; // the log of changes has a little room
  await refusesAll(/no space is left for .*; free some, and try again/);
  Deno.removeSync(`${disk}/filler`);
  {
    using other = new DatabaseSync(`${program.dataDir}/cless.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    await refusesAll(/another process has locked .*; end it, or wait until it is done, and try again/);
    other.exec("ROLLBACK");
  }
  assertEquals((await program.send("GET", "/v1/services/app")).json.domains, [DOMAINS[kept % DOMAINS.length]]);
  assertEquals(await domain("last.example.org"), 200);
  await load.stop();
  assertEquals(load.failures, []);
  assertEquals([...load.answers.keys()], ["kept from Go at app.localhost\n"]);
  assertEquals(await keptAfterKill(program), ["last.example.org"]);
  const slowest = Math.round(load.slowest);
  console.log(`store full, then locked: ${load.requests} requests, 0 failed, the slowest ${slowest} ms`);
});

smallDiskTest("a database that is moved away or damaged refuses changes alone, and requests go on", async (program) => {
  const { load, domain, refusesAll } = await underLoad(program);
  assertEquals(await domain(DOMAINS[0]!), 200);
  const file = `${program.dataDir}/cless.sqlite`;
  await Deno.rename(file, `${file}.away`);
  await refusesAll(/cless\.sqlite/);
  await Deno.rename(`${file}.away`, file);
  assertEquals(await domain(DOMAINS[1]!), 200);
  damage(file);
  await refusesAll(/is damaged; stop cless, put a copy of a backup there/);
  await load.stop();
  assertEquals(load.failures, []);
});

Deno.test({
  name: "a revision that cannot be read keeps no other service from being taken over and looked after",
  ignore: noDocker,
}, async () => {
  const before = await Program.start({ logLevel: "info" });
  for (const name of ["bad", "good"]) {
    const body = { image: "golang-docker", stopAfter: name === "good" ? "5s" : "1h" };
    assertEquals((await before.send("PUT", `/v1/services/${name}`, body)).status, 201);
  }
  await before.get("bad");
  await before.get("good");
  const bad = await before.containers("bad");
  before.signal("SIGKILL");
  await before.exit();
  {
    using store = new DatabaseSync(`${before.dataDir}/cless.sqlite`);
    store.exec("UPDATE revision SET secret_versions = '{' WHERE service = 'bad'");
  }
  await using after = await Program.start({ dataDir: before.dataDir }); // the folder is this one's to remove
  await after.logged("cannot tell which revision a container belongs to; it stays for now", { service: "bad" });
  assertEquals((await after.get("bad")).headers.get("cless-error"), "start_failed");
  await after.logged("instance adopted", { service: "good" });
  await until(async () => (await after.containers("good")).length === 0); // as nobody asks for it any more
  assertEquals([bad.length, await after.containers()], [1, bad]);
  assertEquals(await after.end(), 0);
  assertEquals(await after.containers(), []);
});

/** Overwrites a database as a failing disk could. */
function damage(path: string): void {
  using file = Deno.openSync(path, { read: true, write: true });
  file.writeSync(new Uint8Array(file.statSync().size).fill(0xaa));
}
