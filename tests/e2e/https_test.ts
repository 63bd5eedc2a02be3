import { assertEquals, assertRejects } from "@std/assert";
import { isLoopback } from "../../src/model/ip.ts";
import { EdgeRig, PROGRAM } from "../edge/kit.ts";
import { noDocker } from "../support/docker.ts";
import { freePorts } from "../support/free_ports.ts";
import { noEdge } from "../support/pebble.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** cless as `cless https run` says that it has to be started beside it. */
async function behind({ httpsPort }: EdgeRig, flags: readonly string[] = []): Promise<Program> {
  const url = `https://example.org:${httpsPort}`;
  return await Program.start({ flags: ["--trusted-proxy", "127.0.0.1/32", "--public-url", url, ...flags] });
}

/** What stands behind the edge. */
function ends({ proxy, admin }: Program) {
  return { listen: proxy.port, admin: admin.port };
}

/** The status of `cless https status`, as JSON. */
async function statusOf(rig: EdgeRig, program: Program) {
  const [command, ...args] = PROGRAM;
  const { stdout } = await new Deno.Command(command, {
    args: [
      ...[...args, "https", "status", "--storage", rig.folder, "--json"],
      ...["--server", `http://127.0.0.1:${program.admin.port}`, "--data-dir", program.dataDir],
    ],
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

function httpsTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noDocker || noEdge, fn });
}

httpsTest("what cless serves is there over HTTPS at the first visit, and nothing else gets a certificate", async () => {
  await using rig = await EdgeRig.start();
  await using program = await behind(rig);
  const declared = await program.send("PUT", "/v1/services/shop", {
    image: "golang-docker",
    domains: ["www.example.com"],
  });
  assertEquals([declared.status, declared.json.url], [201, `https://shop.example.org:${rig.httpsPort}`]);
  await using edge = await rig.run(ends(program));

  for (const name of ["shop.example.org", "www.example.com", "golang.example.org"]) {
    const { status, text } = await rig.get(name);
    assertEquals([status, text], [200, `Hello from Go at ${name}\n`]);
    await edge.logged("served key authentication", { identifier: name, challenge: "http-01" });
  }
  for (const name of ["nobody.example.org", "shop.any.example.org", "www.example.net"]) {
    await assertRejects(() => rig.get(name), Error, undefined, name);
  }
  const { certificates, errors, newNames } = await statusOf(rig, program);
  assertEquals(certificates.map(({ names: [name] }: { names: string[] }) => name).sort(), [
    ...["golang.example.org", "shop.example.org", "www.example.com"],
  ]);
  assertEquals(errors, []);
  const counts = newNames.domains.map(({ domain, newNames }: Record<string, unknown>) => `${domain} ${newNames}`);
  assertEquals(counts.sort(), ["example.com 1", "example.org 2"]);
  assertEquals(newNames.refused.map(({ name }: { name: string }) => name), [
    ...["www.example.net", "shop.any.example.org", "nobody.example.org"],
  ]);
});

httpsTest("the admin host answers strangers only over HTTPS, and only if that was said", async () => {
  const stranger = Deno.networkInterfaces().find(({ address, family }) => family === "IPv4" && !isLoopback(address));
  await using rig = await EdgeRig.start();
  rig.bind = "0.0.0.0";
  for (const [flags, status] of [[[], 404], [["--admin-https"], 200]] as const) {
    await using program = await behind(rig, flags);
    await using _edge = await rig.run(ends(program));
    assertEquals((await rig.get("admin.example.org", "/healthz")).status, 200);
    if (stranger === undefined) continue;
    const headers = ["x-forwarded-for: 127.0.0.1", "forwarded: for=127.0.0.1"];
    const answer = await rig.get("admin.example.org", "/healthz", headers, stranger.address);
    assertEquals(answer.status, status, flags.join());
  }
});

httpsTest("a cless that is started again loses no request without a body", async () => {
  await using rig = await EdgeRig.start();
  const listen = freePorts(1);
  const flags = ["--on-exit", "keep", "--listen", `127.0.0.1:${listen}`];
  const first = await behind(rig, flags);
  await using _edge = await rig.run({ ...ends(first), listen });
  using client = await rig.client("golang.example.org");
  let isOver = false;
  const statuses: number[] = [];
  const requests = (async () => {
    while (!isOver) statuses.push(await client.request("GET", "/"));
  })();
  await until(() => statuses.length > 0);
  assertEquals(await first.end(), 0);
  const before = statuses.length;
  await using _second = await Program.start({ dataDir: first.dataDir, flags });
  await until(() => statuses.length > before + 10);
  isOver = true;
  await requests;
  assertEquals(statuses.filter((status) => status !== 200), []);
});

httpsTest("a cless that another one takes over from loses no request, with a body or without", async () => {
  await using rig = await EdgeRig.start();
  const listen = freePorts(1);
  const flags = ["--on-exit", "keep", "--listen", `127.0.0.1:${listen}`];
  const first = await behind(rig, flags);
  await using _edge = await rig.run({ ...ends(first), listen });
  using client = await rig.client("golang.example.org");
  let isOver = false;
  const statuses: Record<string, number[]> = { GET: [], POST: [] };
  const requests = Object.entries(statuses).map(async ([method, seen]) => {
    while (!isOver) seen.push(await client.request(method, "/", method === "POST" ? "body" : undefined));
  });
  await until(() => statuses["POST"]!.length > 0);
  await using _second = await Program.start({ dataDir: first.dataDir, flags: [...flags, "--take-over"] });
  assertEquals(await first.exit(), 0);
  isOver = true;
  await Promise.all(requests);
  assertEquals(new Set(statuses["GET"]), new Set([200]));
  assertEquals(new Set(statuses["POST"]), new Set([405])); // that is the app's own answer
});
