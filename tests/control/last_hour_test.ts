import { assertEquals } from "@std/assert";
import { LastHour } from "../../src/control/last_hour.ts";
import type { RequestCount, WakeCount } from "../../src/control/records.ts";
import type { Wake } from "../../src/pool/wake_times.ts";

const MINUTE_MS = 60_000;

function requestsOf(service: string, minute: number, requests: number): RequestCount {
  return { service, minute, requests, errors: 0, latencies: [[8, requests]] };
}

function wakesOf(service: string, minute: number, how: Wake, count: number): WakeCount {
  return { service, revision: `${service}-00001`, how, minute, bucket: 7, count };
}

function newHour(minute: number) {
  const time = { now: minute * MINUTE_MS };
  const pending: { requests: RequestCount[]; wakes: WakeCount[] } = { requests: [], wakes: [] };
  const hour = new LastHour({
    now: () => time.now,
    requests: {
      get pending() {
        return pending.requests;
      },
    },
    wakes: {
      get pending() {
        return pending.wakes;
      },
    },
  });
  return { hour, pending, time };
}

Deno.test("what is stored and what is pending of a minute is told as one", () => {
  const { hour, pending } = newHour(1000);
  hour.stored([requestsOf("app", 999, 4), requestsOf("app", 1000, 1), requestsOf("web", 1000, 9)], []);
  hour.stored([requestsOf("app", 1000, 2)], [wakesOf("app", 1000, "cold", 1)]);
  pending.requests = [requestsOf("app", 1000, 3)];
  pending.wakes = [wakesOf("app", 950, "cold", 2), wakesOf("app", 1000, "hibernated", 1)];
  const of = hour.read(3);
  assertEquals(of("app"), { perMinute: [0, 4, 6], wakes: { cold: 3, resume: 0, hibernated: 1 } });
  assertEquals(of("web"), { perMinute: [0, 0, 9], wakes: { cold: 0, resume: 0, hibernated: 0 } });
  assertEquals(of("other"), { perMinute: [0, 0, 0], wakes: { cold: 0, resume: 0, hibernated: 0 } });
});

Deno.test("what is older than an hour, or of a service that was deleted, is forgotten", () => {
  const { hour, time } = newHour(1000);
  hour.stored([requestsOf("app", 1000, 4), requestsOf("web", 1000, 1)], [wakesOf("app", 1000, "resume", 1)]);
  time.now += 59 * MINUTE_MS;
  assertEquals(hour.read(60)("app").perMinute[0], 4);
  assertEquals(hour.read(60)("app").wakes.resume, 1);
  time.now += MINUTE_MS;
  assertEquals(hour.read(60)("app"), {
    perMinute: new Array(60).fill(0),
    wakes: { cold: 0, resume: 0, hibernated: 0 },
  });
  time.now -= MINUTE_MS;
  hour.forget("web");
  assertEquals(hour.read(60)("web").perMinute[0], 0);
});
