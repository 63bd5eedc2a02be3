import { assert, assertEquals } from "@std/assert";
import { noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

const CURL = { headers: { "user-agent": "curl/8" } };
const GOOGLEBOT = { headers: { "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)" } };

Deno.test(
  { name: "who woke a service is known after a restart, and so is how long it had no request", ignore: noDocker },
  async () => {
    const dataDir = Deno.makeTempDirSync();
    const flags = ["--pause-after", "1s", "--hibernate-after", "0"];
    {
      const program = await Program.start({ dataDir, flags });
      assertEquals((await program.get("golang", "/first?secret", GOOGLEBOT)).status, 200);
      await until(async () => (await program.api("/v1/instances"))[0]!["state"] === "paused");
      assertEquals((await program.get("golang", "/second", CURL)).status, 200);
      await until(async () => (await program.api("/v1/instances"))[0]!["state"] === "paused");
      assertEquals((await program.send("POST", "/v1/services/golang/wake")).status, 204);
      assertEquals(await program.end(), 0);
    }
    await using program = await Program.start({ dataDir, flags });
    await program.get("golang", "/third", CURL);
    const wakes = await program.api("/v1/wakes?service=golang");
    const request = { kind: "request", method: "GET", host: "golang.localhost", network: "127.0.0.0/24" };
    assertEquals(wakes.map(({ by, how }) => ({ by, how })), [
      { how: "cold", by: { ...request, path: "/third", userAgent: "curl/8" } },
      { how: "resume", by: { kind: "operator", name: "admin" } },
      { how: "resume", by: { ...request, path: "/second", userAgent: "curl/8" } },
      {
        how: "cold",
        by: { ...request, path: "/first", userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1)", robot: true },
      },
    ]);
    const [timeline] = await program.api("/v1/timelines");
    assertEquals((timeline!["wakes"] as unknown[]).length, 4);

    const { json: estimate } = await program.send("GET", "/v1/services/golang/what-if?pauseAfter=0");
    const counts = (estimate.gaps as { count: number }[]).map(({ count }) => count);
    assertEquals(counts.reduce((sum, count) => sum + count, 0), 2); // before /second, and over the restart before /third
    // What the estimate knows nothing of is that cless was restarted.
    assertEquals([estimate.now.wakesPerDay.resume, estimate.then.wakesPerDay.resume], [2, 0]);
    assert(estimate.memory.awakeBytes > 0 && estimate.now.gbHoursPerDay > 0);
  },
);
