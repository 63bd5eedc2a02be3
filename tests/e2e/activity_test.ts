import { assert, assertEquals } from "@std/assert";
import { noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

interface Point {
  readonly requests: number;
  readonly errors: number;
  readonly wakes: { readonly cold: number };
  readonly seconds: { readonly ready: number };
}

/** The sums over all points of a service. */
async function sumsOf(program: Program, service: string, step = "minute") {
  const { json } = await program.send("GET", `/v1/services/${service}/activity?step=${step}`);
  const points: Point[] = json.points;
  return points.reduce((sum, point) => ({
    requests: sum.requests + point.requests,
    errors: sum.errors + point.errors,
    cold: sum.cold + point.wakes.cold,
    readyS: sum.readyS + point.seconds.ready,
  }), { requests: 0, errors: 0, cold: 0, readyS: 0 });
}

async function ask(program: Program, times: number): Promise<void> {
  for (let n = 0; n < times; n++) assertEquals((await program.get("golang")).status, 200);
}

/** The states in the timeline of a service, oldest first. */
async function statesOf(program: Program, service: string): Promise<string[]> {
  const { json } = await program.send("GET", `/v1/timelines?service=${service}`);
  return json[0].spells.map(({ state }: { readonly state: string }) => state);
}

Deno.test(
  { name: "what a service did outlives a take-over and a restart, with each request once", ignore: noDocker },
  async () => {
    const first = await Program.start();
    await ask(first, 5);
    assertEquals((await first.get("e2e-none")).status, 404);
    const [now, ...others] = await first.api("/v1/activity?minutes=2");
    assertEquals([now!.service, now!.state, now!.instances, others], ["golang", "ready", { ready: 1 }, []]);
    assertEquals((now!.perMinute as number[]).reduce((sum, count) => sum + count, 0), 5);
    assertEquals([now!.wakes, Number(now!.requestsPerSecond) > 0], [{ cold: 1, resume: 0, hibernated: 0 }, true]);
    const second = await Program.start({ dataDir: first.dataDir, flags: ["--take-over"] });
    assertEquals(await first.exit(), 0);
    await ask(second, 3);
    await until(async () => (await sumsOf(second, "golang")).requests === 8);
    assertEquals(await statesOf(second, "golang"), ["starting", "ready"]); // nothing of it before it was there
    assertEquals(await second.end(), 0);
    await using third = await Program.start({ dataDir: first.dataDir });
    assertEquals((await statesOf(third, "golang")).slice(-3), ["asleep", "unknown", "asleep"]);
    await ask(third, 1);
    for (const step of ["minute", "hour"]) {
      const { cold, errors, readyS, requests } = await sumsOf(third, "golang", step);
      assertEquals([requests, errors, cold], [9, 0, 2], step);
      assert(readyS > 0);
    }
  },
);

Deno.test(
  { name: "a service that is deleted and made again has not done what the earlier one did", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    const deploy = () => program.send("PUT", "/v1/services/shop", { image: "golang-docker" });
    assertEquals((await deploy()).status, 201);
    assertEquals((await program.get("shop")).status, 200);
    assertEquals((await sumsOf(program, "shop")).requests, 1);
    const states = await statesOf(program, "shop");
    assertEquals([states.includes("deploying"), states.at(-1)], [true, "ready"]);
    assertEquals((await program.send("DELETE", "/v1/services/shop")).status, 204);
    assertEquals(await program.api("/v1/activity"), []);
    assertEquals((await program.send("GET", "/v1/services/shop/activity")).status, 404);
    assertEquals((await deploy()).status, 201);
    assertEquals((await sumsOf(program, "shop")).requests, 0);
  },
);
