import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { linesOf } from "../../src/base/streams.ts";
import { build } from "../support/docker.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { Node } from "./nodes.ts";

/** An app that writes the paths of its requests. With CRASH it ends before it serves. */
const APP = `
import http.server, os, sys
if os.environ.get("CRASH"): print("the reason", flush=True); sys.exit(3)
class App(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    if self.path != "/": print("asked for", self.path, flush=True) # that is how cless looks whether it is ready
    self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
  def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), App).serve_forever()
`;
const IMAGE = "swarm-elsewhere-docker";
const DOCKERFILE = `FROM python-docker\nENTRYPOINT ["python3", "-c", ${
  JSON.stringify(`exec(${JSON.stringify(APP)})`)
}]`;

/** Runs a verb of cless in a node, against the cless there. Resolves with both its outputs. */
async function cless(node: Node, ...args: string[]): Promise<string> {
  const script = `cd "$1" && shift && deno run -A main.ts "$@" 2>&1 || true`;
  const root = new URL("../..", import.meta.url).pathname;
  return await node.exec("sh", "-c", script, "sh", root, ...args, "--server", `http://${node.address}:1323`);
}

/** Follows the log of a service at a node, until the signal is aborted. */
async function follow(node: Node, service: string, signal: AbortSignal): Promise<string[]> {
  const token = (await Deno.readTextFile(`${node.dataDir}/admin-token`)).trim();
  const { body } = await fetch(`http://${node.address}:1323/v1/services/${service}/logs?follow=true`, {
    headers: { authorization: `Bearer ${token}` },
    signal,
  });
  const lines: string[] = [];
  (async () => {
    for await (const line of linesOf(body!, signal)) lines.push(line);
  })().catch(() => {}); // it was aborted
  return lines;
}

Deno.test({ name: "what is asked of an instance on another machine works from any", ignore: noNodes }, async (t) => {
  await using _image = await build(IMAGE, DOCKERFILE);
  await using cluster = await Cluster.start({ count: 3, images: [IMAGE] });
  const [one, two] = [cluster.node(1), cluster.node(2)];
  const shop = { image: IMAGE, placement: { node: "node-3" }, memory: "128m" };
  assertEquals((await cluster.cless(1).send("PUT", "/v1/services/shop", shop)).status, 201);
  await until(async () => (await cluster.cless(2).send("GET", "/v1/services/shop")).status === 200);
  const over = new AbortController();
  try {
    await t.step("its output is shown and followed on every machine", async () => {
      const followed = await follow(two, "shop", over.signal);
      assertEquals((await cluster.cless(1).get("shop", "/first")).status, 200);
      await until(() => followed.some((line) => line.endsWith("| asked for /first")));
      assertMatch(await cless(one, "logs", "shop"), /^cless-\S+-s0 \| asked for \/first$/);
      assertEquals((await cluster.cless(1).send("POST", "/v1/services/shop/sleep")).status, 204);
      await until(async () => await cluster.node(3).docker("ps", "--all", "--quiet") === "");
      assertMatch(await cless(one, "logs", "shop"), /^cless-\S+-s0 \| asked for \/first$/);
      assertEquals((await cluster.cless(2).get("shop", "/second")).status, 200);
      await until(() => followed.some((line) => line.endsWith("| asked for /second")));
      const both = (await cless(one, "logs", "shop")).split("\n").map((line) => line.replace(/^.*\| /, ""));
      assertEquals(both, ["asked for /first", "asked for /second"]);
      assertEquals(followed.length, 2, followed.join("\n"));
    });
    await t.step("its memory is shown on every machine, and its service has it too", async () => {
      await until(async () => (await cluster.cless(1).api("/v1/instances"))[0]?.memoryBytes > 0);
      await until(async () => (await cluster.cless(2).api("/v1/services/shop")).cost?.memoryBytes > 0);
      await until(async () => (await cluster.cless(2).api("/v1/activity"))[0]?.memoryBytes > 0);
    });
    await t.step("a deploy that fails there says what the app wrote, which is kept there", async () => {
      const { json, status } = await cluster.cless(1).send("PUT", "/v1/services/shop", {
        ...shop,
        env: { CRASH: "1" },
      });
      assert(status >= 400, `${status}`);

      assertStringIncludes(JSON.stringify(json), "the reason");
      await until(async () => (await cless(two, "logs", "shop")).includes("| the reason"));
    });
    await t.step("a machine that does not answer is named, and the others show what they have", async () => {
      const followed = await follow(one, "shop", over.signal);
      await until(() => followed.some((line) => line.endsWith("/second")));
      await cluster.cless(3).end("SIGKILL");
      await until(() => followed.some((line) => line.includes("cless | the output of node-3 is missing: ")));
      assertStringIncludes(await cless(two, "logs", "shop"), "the output of node-3 is missing: ");
    });
  } finally {
    over.abort();
  }
});
