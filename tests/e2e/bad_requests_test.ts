import { assert, assertEquals } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** An app with a page that ends it, a slow one, and one that keeps the processor busy. */
const SCRIPT = `
require("node:http").createServer((request, response) => {
  if (request.url === "/exit") process.exit(3);
  if (request.url === "/slow") return setTimeout(() => response.end("slow"), 3000);
  if (request.url === "/spin") for (const until = Date.now() + 16_000; Date.now() < until;);
  response.end("ok");
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;

/** How often the program has started a container. */
function starts(program: Program): number {
  return program.log.filter(({ message }) => message === "instance ready").length;
}

Deno.test(
  { name: "a page that ends its app costs one container a click, and nobody else's request", ignore: noDocker },
  async () => {
    const app = `e2e-exit-${crypto.randomUUID().slice(0, 8)}`;
    await using _ = await build(`${app}-docker`, APP);
    await using program = await Program.start();
    for (let click = 1; click <= 4; click++) {
      assertEquals((await program.get(app)).text, "ok");
      const { headers, status } = await program.get(app, "/exit");
      assertEquals([status, headers.get("cless-error"), starts(program)], [502, "upstream_failed", click]);
    }
    assertEquals((await program.get(app)).text, "ok");
    const slow = program.get(app, "/slow");
    await until(async () => (await program.api("/v1/instances")).some(({ inFlight }) => inFlight === 1));
    assertEquals((await program.get(app, "/exit")).status, 502);
    assert([200, 502].includes((await slow).status)); // 502 where the page has ended its second instance, too
    assertEquals((await program.get(app)).text, "ok");
    await program.logged("a request is not repeated: its instance ended", { target: "/exit", method: "GET" });
  },
);

Deno.test(
  { name: "an app that is stopped with SIGSTOP is replaced, and one that computes is not", ignore: noDocker },
  async () => {
    const [hung, busy] = ["hung", "busy"].map((name) => `e2e-${name}-${crypto.randomUUID().slice(0, 8)}`) as [
      string,
      string,
    ];
    await using _ = await build("e2e-bad-requests", APP);
    await using program = await Program.start();
    for (const name of [hung, busy]) {
      const { status, text } = await program.send("PUT", `/v1/services/${name}`, {
        image: "e2e-bad-requests",
        hangAfter: "2s",
      });
      assertEquals(status, 201, text);
    }
    const [container] = await program.containers(hung);
    const before = await program.containers(busy);
    Deno.kill(Number(await docker("inspect", "--format={{.State.Pid}}", container!)), "SIGSTOP");
    const began = performance.now();
    const spun = program.get(busy, "/spin");
    const [got, posted] = await Promise.all([program.get(hung), program.get(hung, "/", { method: "POST", body: "x" })]);
    const waitedMs = performance.now() - began;
    assertEquals([got.status, got.text, posted.status], [200, "ok", 504]);
    assertEquals(posted.headers.get("cless-error"), "upstream_timeout");
    assert(waitedMs > 12_000 && waitedMs < 60_000, `${waitedMs}`);
    assertEquals((await spun).text, "ok");
    assertEquals(await program.containers(busy), before);
    await program.logged("instance hangs", { instance: container });
    assertEquals(program.log.filter(({ message }) => message === "instance hangs").length, 1);
  },
);
