import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** The series of `/metrics` that mention something, with their values. */
async function series(program: Program, mentioned: string): Promise<Map<string, number>> {
  const { text } = await program.send("GET", "/metrics");
  const lines = text.split("\n").filter((line) => line.includes(mentioned) && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

/** Reads until nothing mentions it. */
const untilGone = (program: Program, mentioned: string) =>
  until(async () => (await series(program, mentioned)).size === 0);

Deno.test(
  { name: "a rebuilt image's old revision leaves the metrics once its container is gone", ignore: noDocker },
  async () => {
    await using _image = await build("e2e-metered-docker", "FROM golang-docker\nENV BUILD=1");
    await using program = await Program.start();
    assertEquals((await program.get("e2e-metered")).status, 200);
    const [{ revision: old }] = await program.api("/v1/instances") as [{ revision: string }];
    assertMatch(old, /^e2e-metered-[0-9a-f]{12}$/);
    const labels = `service="e2e-metered",revision="${old}"`;
    const before = await series(program, labels);
    assertEquals(before.get(`cless_requests_total{${labels},code="200"}`), 1);
    assertEquals(before.get(`cless_cold_starts_total{${labels}}`), 1);
    assertEquals(before.get(`cless_wake_seconds_count{${labels},tier="cold"}`), 1);
    assertEquals(before.get(`cless_request_wait_seconds_count{${labels}}`), 1);
    assertEquals(before.get(`cless_instances{${labels},state="ready"}`), 1);
    assert(before.get(`cless_memory_bytes{${labels},kind="ram"}`)! > 100_000);
    await using _rebuilt = await build("e2e-metered-docker", "FROM golang-docker\nENV BUILD=2");
    await until(async () => {
      await program.get("e2e-metered");
      return (await program.api("/v1/instances")).every(({ revision }) => revision !== old);
    });
    await untilGone(program, `revision="${old}"`);
    const after = await series(program, 'service="e2e-metered"');
    assert([...after.keys()].some((name) => name.startsWith("cless_requests_total{")));
    await docker("rmi", "--force", "e2e-metered-docker");
    await untilGone(program, "e2e-metered");
  },
);

Deno.test(
  {
    name: "a declared service's metrics end with its deploys and its deletion, unknown hosts have none",
    ignore: noDocker,
  },
  async () => {
    await using program = await Program.start();
    const deploy = (number: string) =>
      program.send("PUT", "/v1/services/shop", { image: "golang-docker", env: { NUMBER: number } });
    assertEquals((await deploy("1")).status, 201);
    assertEquals((await program.get("shop")).status, 200);
    assert((await series(program, 'revision="shop-00001"')).size > 0);
    assertEquals((await deploy("2")).status, 200);
    assertEquals((await program.get("shop")).status, 200);
    await untilGone(program, 'revision="shop-00001"');
    assert((await series(program, 'revision="shop-00002"')).size > 0);
    assertEquals((await program.get("e2e-none")).status, 404);
    assertEquals((await series(program, "e2e-none")).size, 0);
    assertEquals((await series(program, 'cless_requests_total{service="",')).size, 1);
    assertEquals((await program.send("DELETE", "/v1/services/shop")).status, 204);
    assertEquals((await series(program, '"shop"')).size, 0);
    const store = await series(program, "cless_store_");
    assert(store.get("cless_store_write_seconds_count")! >= 4 && store.get("cless_store_bytes")! > 0);
    assertEquals(store.get('cless_store_errors_total{what="write"}'), 0);
  },
);
