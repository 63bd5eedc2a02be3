import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { FORWARDERS } from "../support/forwarders.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

Deno.test(
  { name: "a thousand requests at once for a cold service: one container, no failure", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => program.get("golang")));
    assertEquals(answers.filter(({ status }) => status === 200).length, 1000);
    assertEquals((await program.containers()).length, 1);
  },
);

Deno.test(
  { name: "a monitor that asks for the health of a service that sleeps starts no container", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    const health = (label: string) => program.get(label, "/.well-known/cless/health");
    for (let n = 0; n < 3; n++) {
      const { status, text } = await health("golang");
      assertEquals([status, text], [200, "ok"]);
    }
    assertEquals((await health("e2e-none")).status, 404);
    assertEquals([await program.containers(), await program.api("/v1/services")], [[], []]);
    assertEquals((await program.get("golang")).status, 200);
    await program.send("POST", "/v1/services/golang/sleep");
    assertEquals([(await health("golang")).text, await program.containers()], ["ok", []]);
  },
);

Deno.test(
  { name: "with --wake-except-robots, a robot wakes no service, also none that nobody has declared", ignore: noDocker },
  async () => {
    await using program = await Program.start({ flags: ["--wake-except-robots"] });
    const robot = (label: string) => program.get(label, "/", { headers: { "user-agent": "UptimeRobot/2.0" } });
    await program.send("PUT", "/v1/services/shop?wait=false", { image: "golang-docker" });
    await program.send("POST", "/v1/services/shop/sleep");
    for (const label of ["golang", "shop"]) {
      const { status, headers } = await robot(label);
      assertEquals([status, headers.get("cless-error"), headers.has("retry-after")], [503, "asleep", true], label);
    }
    assertEquals(await program.containers(), []);
    assertEquals([(await program.get("golang")).status, (await robot("golang")).status], [200, 200]);
  },
);

Deno.test({ name: "several services start at once without waiting for each other", ignore: noDocker }, async () => {
  await using program = await Program.start();
  const labels = ["golang", "python", "nodejs", "rust"];
  const answers = await Promise.all(labels.map((label) => program.get(label)));
  assertEquals(answers.map(({ status }) => status), labels.map(() => 200));
  const services = await program.api("/v1/services");
  assertEquals(services.map(({ name }) => name), [...labels].sort());
});

Deno.test(
  { name: "whatever a person does to a container, the next request is answered", ignore: noDocker },
  async (t) => {
    await using program = await Program.start();
    for (
      const [verb, ...more] of [["kill"], ["stop", "--time=1"], ["rm", "--force"], ["restart"], ["pause"]] as const
    ) {
      await t.step(`docker ${verb}`, async () => {
        assertEquals((await program.get("golang")).status, 200);
        const [name] = await program.containers("golang");
        await docker(verb, ...more, name!);
        assertEquals((await program.get("golang")).status, 200);
      });
    }
  },
);

for (const forward of FORWARDERS) {
  Deno.test(
    {
      name: `${forward}: containers that are killed under load cost no request that can be repeated`,
      ignore: noDocker,
    },
    async () => {
      await using program = await Program.start({ flags: ["--forward", forward] });
      await program.get("golang");
      let running = true;
      const killing = (async () => {
        for (let kills = 0; kills < 3; kills++) {
          const [instance] = await program.api("/v1/instances");
          if (instance !== undefined) await docker("kill", instance.id as string).catch(() => {});
          await program.get("golang");
        }
        running = false;
      })();
      const failures: string[] = [];
      let asked = 0;
      await Promise.all(Array.from({ length: 16 }, async () => {
        while (running) {
          const { status, text } = await program.get("golang");
          asked++;
          if (status !== 200) failures.push(text);
        }
      }));
      await killing;
      assertEquals(failures, []);
      assert(asked > 100);
    },
  );
}

Deno.test({ name: "a rebuilt image takes over under load without an error", ignore: noDocker }, async () => {
  const dockerfile = (version: number) => `FROM golang-docker\nLABEL version=${version}`;
  await using first = await build("e2e-rebuilt-docker", dockerfile(1));
  await using program = await Program.start();
  await program.get("e2e-rebuilt");
  const failures: string[] = [];
  let rebuilt = false;
  const load = Promise.all(Array.from({ length: 8 }, async () => {
    while (!rebuilt) {
      const { status, text } = await program.get("e2e-rebuilt");
      if (status !== 200) failures.push(text);
    }
  }));
  await using second = await build("e2e-rebuilt-docker", dockerfile(2));
  assert(first.id !== second.id);
  await program.logged("instance ready", { revision: `e2e-rebuilt-${second.id.slice(7, 19)}` });
  await program.get("e2e-rebuilt");
  rebuilt = true;
  await load;
  assertEquals(failures, []);
  const instances = await program.api("/v1/instances");
  assertEquals(instances.filter(({ state }) => state === "ready").map(({ revision }) => revision), [
    `e2e-rebuilt-${second.id.slice(7, 19)}`,
  ]);
});

Deno.test({
  name: "an image that is removed makes its hostname unknown, one that comes makes it known",
  ignore: noDocker,
}, async () => {
  await using program = await Program.start();
  assertEquals((await program.get("e2e-fleeting")).status, 404);
  {
    await using _image = await build("e2e-fleeting-docker", "FROM golang-docker\nLABEL e2e=fleeting");
    // The engine tells of an image a moment after the build has ended.
    await until(async () => (await program.get("e2e-fleeting")).status !== 404);
    assertEquals((await program.get("e2e-fleeting")).status, 200);
  }
  await program.logged("image is gone", { service: "e2e-fleeting" });
  const gone = await program.get("e2e-fleeting");
  assertEquals([gone.status, gone.headers.get("cless-error")], [404, "unknown_host"]);
});

Deno.test(
  { name: "an app that ends at once: 502 start_failed, its last words in the log only", ignore: noDocker },
  async () => {
    const dockerfile =
      `FROM python-docker\nENTRYPOINT ["python3", "-c", "import sys; print('the secret reason'); sys.exit(3)"]`;
    await using _image = await build("e2e-broken-docker", dockerfile);
    await using program = await Program.start();
    const answer = await program.get("e2e-broken");
    assertEquals([answer.status, answer.headers.get("cless-error")], [502, "start_failed"]);
    assert(!answer.text.includes("secret"), answer.text);
    const line = await program.logged("start failed");
    assertEquals([line.output, line.code], ["the secret reason", "start_failed"]);
    assertMatch(String(line.reason), /ended with code 3 before it was ready/);
  },
);

Deno.test(
  { name: "an image that cannot even run: 502 start_failed, nothing left behind", ignore: noDocker },
  async () => {
    await using _image = await build("e2e-void-docker", `FROM golang-docker\nENTRYPOINT ["/no/such/program"]`);
    await using program = await Program.start();
    const answer = await program.get("e2e-void");
    assertEquals([answer.status, answer.headers.get("cless-error")], [502, "start_failed"]);
    await program.logged("start failed");
    assertEquals(await program.end(), 0);
    assertEquals(await program.containers(), []);
  },
);

Deno.test(
  { name: "an app that never listens: 504 start_timeout, its container removed", ignore: noDocker },
  async () => {
    const dockerfile = `FROM python-docker\nENTRYPOINT ["python3", "-c", "import time; time.sleep(1000)"]`;
    await using _image = await build("e2e-mute-docker", dockerfile);
    await using program = await Program.start({ flags: ["--start-timeout", "1s"] });
    const answer = await program.get("e2e-mute");
    assertEquals([answer.status, answer.headers.get("cless-error")], [504, "start_timeout"]);
    await program.logged("start failed");
    assertEquals(await program.end(), 0);
    assertEquals(await program.containers(), []);
  },
);

Deno.test(
  { name: "an idle instance is stopped and removed, and the next request starts another", ignore: noDocker },
  async () => {
    await using program = await Program.start({ flags: ["--stop-after", "300ms"] });
    await program.get("golang");
    await program.logged("instance idle");
    const again = await program.get("golang");
    assertMatch(again.headers.get("server-timing") ?? "", /cold/);
  },
);

Deno.test({
  name: "an app that listens on the one other port of its image is said to, with what to deploy",
  ignore: noDocker,
}, async () => {
  await using program = await Program.start({ logLevel: "info" });
  const deploy = (port: number, startTimeout: string) =>
    program.send("PUT", "/v1/services/exposing", { image: "golang-docker", startTimeout, port });
  const { json, status } = await deploy(3000, "2s");
  const advice = "nothing listens on port 3000 after 2s; the image exposes 8080: deploy with --port 8080";
  assertEquals([status, json.detail.endsWith(advice)], [422, true], json.detail);
  assertEquals((await deploy(8080, "30s")).status, 201);
});
