import { assertEquals } from "@std/assert";
import { basic, HASH } from "../access/kit.ts";
import { build, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

Deno.test(
  { name: "a stranger gets 401 and starts no container, and the right password starts one", ignore: noDocker },
  async () => {
    const name = `e2e-lock-${crypto.randomUUID().slice(0, 8)}`;
    const script = `require("node:http").createServer((request, response) => {
      response.end(JSON.stringify(request.headers));
    }).listen(8080);
    process.on("SIGTERM", () => process.exit(0));`;
    await using _ = await build(name, `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", script])}`);
    await using program = await Program.start();
    const body = { image: name, access: { basic: { alice: HASH } } };
    assertEquals((await program.send("PUT", `/v1/services/${name}?wait=false`, body)).status, 201);
    for (const headers of [{}, { authorization: basic("alice", "wrong") }, { "x-auth-user": "alice" }]) {
      const answer = await program.get(name, "/", { headers });
      assertEquals([answer.status, answer.headers.get("cless-error")], [401, "unauthorized"]);
      assertEquals(answer.headers.get("www-authenticate"), `Basic realm="${name}", charset="UTF-8"`);
    }
    assertEquals(await program.containers(name), []);
    const headers = { authorization: basic("alice", "open sesame") };
    const { status, text } = await program.get(name, "/", { headers });
    assertEquals(status, 200);
    const seen = JSON.parse(text);
    assertEquals([seen["x-auth-user"], seen.authorization], ["alice", undefined]);
    assertEquals((await program.containers(name)).length, 1);
    for (let guess = 0; guess < 10; guess++) {
      await program.get(name, "/", { headers: { authorization: basic("alice", `${guess}`) } });
    }
    assertEquals((await program.get(name, "/", { headers })).status, 429);
    await program.logged("too many wrong passwords", { service: name, client: "127.0.0.1" });
    const maintenance = { image: name, maintenance: "Back soon" };
    assertEquals((await program.send("PUT", `/v1/services/${name}`, maintenance)).status, 200);
    assertEquals((await program.get(name, "/", { headers })).headers.get("cless-error"), "maintenance");
  },
);
