import { assertEquals, assertMatch } from "@std/assert";
import { findCaddy, isTooOld } from "../../src/edge/caddy.ts";
import { lastError, readLine } from "../../src/edge/caddy_log.ts";
import { dnsWarnings, lookUp } from "../../src/edge/dns.ts";
import { firstFree, listenerOn, unitIn } from "../../src/edge/ports.ts";
import { freePorts } from "../support/free_ports.ts";
import { netTest, noRun, noWrite } from "../support/permissions.ts";

Deno.test("versions of Caddy before 2.6 are too old", () => {
  const versions = ["1.0.5", "2.5.2", "2.6.0", "2.6.2", "2.10.0", "3.0.0"];
  assertEquals(versions.map(isTooOld), [true, true, false, false, false, false]);
});

Deno.test(
  { name: "Caddy is found on PATH or by its path, and what is not Caddy is said", ignore: noRun || noWrite },
  async () => {
    const folder = await Deno.makeTempDir();
    const program = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    };
    await program("caddy", "echo 'v2.7.6 h1:abc='");
    await program("old", "echo 2.4.0");
    await program("other", "exit 1");
    await Deno.writeTextFile(`${folder}/data`, "");
    const find = (name: string, path = `relative:/nowhere:${folder}`) => findCaddy(name, path);
    assertEquals(await find("caddy"), { path: `${folder}/caddy`, version: "2.7.6" });
    assertEquals(await find(`${folder}/caddy`, ""), { path: `${folder}/caddy`, version: "2.7.6" });
    assertEquals(await find("caddy", ""), "Caddy is not installed: apt-get install caddy, or name it with --caddy");
    assertEquals(await find(`${folder}/data`), `there is no program ${folder}/data; name Caddy with --caddy`);
    assertEquals(await find("old"), `${folder}/old is Caddy 2.4.0, and cless needs 2.6 or later`);
    assertEquals(await find("other"), `${folder}/other is not Caddy: ${folder}/other version prints no version`);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("a line of Caddy's log is read, JSON or not, and the last error is found", () => {
  assertEquals(readLine('{"level":"warn","ts":1.5,"logger":"tls","msg":"hm","n":1}'), {
    level: "warning",
    at: 1500,
    message: "hm",
    fields: { logger: "tls", n: 1 },
  });
  assertEquals(readLine("Error: adapting config"), { level: "error", message: "adapting config", fields: {} });
  assertEquals(readLine('{"level":"panic","msg":"x"}').level, "error");
  assertEquals(readLine("{ no JSON").level, "info");
  assertEquals(lastError(['{"level":"error","msg":"a","error":"b"}', '{"level":"info","msg":"c"}']), "a: b");
  assertEquals(lastError(["info"]), undefined);
});

netTest("the program that has a port is found, on every address or on one", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assertEquals((await listenerOn(port))?.port, port);
  assertEquals((await listenerOn(port, "127.0.0.1"))?.port, port);
  assertEquals(await listenerOn(port, "127.0.0.2"), undefined);
  assertEquals(await listenerOn(freePorts(1)), undefined);
});

netTest("the first port that is free is found", () => {
  const first = freePorts(2);
  using _taken = Deno.listen({ hostname: "127.0.0.1", port: first });
  assertEquals([firstFree(first, 2), firstFree(first, 1)], [first + 1, undefined]);
  return Promise.resolve();
});

Deno.test("the service of a process is read from its control groups", () => {
  assertEquals(unitIn("0::/system.slice/caddy.service\n"), "caddy.service");
  assertEquals(unitIn("1:name=systemd:/system.slice/nginx.service/child\n0::/\n"), "nginx.service");
  assertEquals(unitIn("0::/user.slice/user-1000.slice/session-1.scope\n"), undefined);
  assertEquals(unitIn("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vite.service\n"), undefined);
});

Deno.test("DNS that leads nowhere or elsewhere is told, and a name that nobody has thought of is asked for", async () => {
  const asked: string[] = [];
  const records = await lookUp("example.org", (name) => {
    asked.push(name);
    return Promise.resolve(name === "example.org" ? ["203.0.113.5"] : []);
  });
  assertEquals(records, { base: ["203.0.113.5"], below: [] });
  assertMatch(asked[1]!, /^cless-[0-9a-f]{8}\.example\.org$/);
  assertEquals(dnsWarnings("example.org", records, ["203.0.113.5"]), [
    "names below example.org have no address in DNS: add a record for *.example.org",
  ]);
  assertEquals(dnsWarnings("example.org", { base: [], below: ["203.0.113.5"] }, ["10.0.0.2"]), [
    "example.org has no address in DNS",
    "203.0.113.5 is no address of this machine: a router has to pass ports 80 and 443 on to it",
  ]);
  assertEquals(dnsWarnings("example.org", { base: ["10.0.0.2"], below: ["10.0.0.2"] }, ["10.0.0.2"]), []);
  const failed = await lookUp("example.org", () => Promise.reject(new Error("timed out")));
  assertEquals(dnsWarnings("example.org", failed, []), ["DNS cannot be asked for example.org: timed out"]);
});
