import { assertEquals } from "@std/assert";
import { uptime } from "../../src/docker/uptime.ts";

Deno.test("how long a container has been up is read from what the engine says of it", () => {
  const known: [status: string, ms: number | undefined][] = [
    ["Up Less than a second", 0],
    ["Up 1 second", 1000],
    ["Up 59 seconds (Paused)", 59_000],
    ["Up About a minute", 60_000],
    ["Up 12 minutes (unhealthy)", 720_000],
    ["Up About an hour", 3_600_000],
    ["Up 3 days", 3 * 86_400_000],
    ["Up 2 weeks", 14 * 86_400_000],
    ["Exited (0) 3 hours ago", undefined],
    ["Created", undefined],
    ["Up", undefined],
    ["", undefined],
  ];
  for (const [status, ms] of known) assertEquals(uptime(status), ms, status);
});
