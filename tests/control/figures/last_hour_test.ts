import { assertEquals } from "@std/assert";
import { LastHour } from "../../../src/control/figures/last_hour.ts";
import type { RequestCount, WakeCount } from "../../../src/control/figures/records.ts";
import { FakeStore } from "../../support/fake_store.ts";
import { StoreUnavailable } from "../../../src/control/store.ts";
import type { WakeTier } from "../../../src/pool/wake_times.ts";

const MINUTE_MS = 60_000;
const NO_WAKES = { cold: 0, resume: 0, hibernated: 0 };

function requestsOf(service: string, minute: number, requests: number): RequestCount {
  return { service, minute, requests, errors: 0, latencies: [[8, requests]] };
}

function wakesOf(service: string, minute: number, how: WakeTier, count: number): WakeCount {
  return { service, revision: `${service}-00001`, how, minute, bucket: 7, count };
}

function newHour(minute: number) {
  const time = { now: minute * MINUTE_MS };
  const pending: { requests: RequestCount[]; wakes: WakeCount[] } = { requests: [], wakes: [] };
  const store = new FakeStore();
  let reads = 0;
  const hour = new LastHour({
    now: () => time.now,
    store: {
      sumsByMinute(since) {
        reads++;
        if (store.failure !== undefined) throw store.failure;
        return store.sumsByMinute(since);
      },
    },
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
  const keep = (requests: RequestCount[], wakes: WakeCount[] = []) => {
    store.addFigures({ requests, wakes });
    hour.stored(requests, wakes);
  };
  return { hour, keep, pending, reads: () => reads, store, time };
}

Deno.test("what is stored and what is pending of a minute is told as one", () => {
  const { hour, keep, pending } = newHour(1000);
  keep([requestsOf("app", 999, 4), requestsOf("app", 1000, 1), requestsOf("web", 1000, 9)]);
  hour.read(1);
  keep([requestsOf("app", 1000, 2)], [wakesOf("app", 1000, "cold", 1)]);
  pending.requests = [requestsOf("app", 1000, 3)];
  pending.wakes = [wakesOf("app", 950, "cold", 2), wakesOf("app", 1000, "hibernated", 1)];
  const of = hour.read(3);
  assertEquals(of("app"), { perMinute: [0, 4, 6], wakes: { cold: 3, resume: 0, hibernated: 1 } });
  assertEquals(of("web"), { perMinute: [0, 0, 9], wakes: NO_WAKES });
  assertEquals(of("other"), { perMinute: [0, 0, 0], wakes: NO_WAKES });
});

Deno.test("what is older than an hour, or of a service that was deleted, is forgotten", () => {
  const { hour, keep, time } = newHour(1000);
  keep([requestsOf("app", 1000, 4), requestsOf("web", 1000, 1)], [wakesOf("app", 1000, "resume", 1)]);
  time.now += 59 * MINUTE_MS;
  assertEquals(hour.read(60)("app").perMinute[0], 4);
  assertEquals(hour.read(60)("app").wakes.resume, 1);
  time.now += MINUTE_MS;
  assertEquals(hour.read(60)("app"), { perMinute: new Array(60).fill(0), wakes: NO_WAKES });
  time.now -= MINUTE_MS;
  hour.forget("web");
  assertEquals(hour.read(60)("web").perMinute[0], 0);
});

Deno.test("the store is read once for all who look, and again when nobody has looked for ten minutes", () => {
  const { hour, keep, reads, time } = newHour(1000);
  for (let minute = 1000; minute < 1030; minute++) {
    time.now = minute * MINUTE_MS;
    keep([requestsOf("app", minute, 1)]);
  }
  assertEquals(reads(), 0);
  for (let n = 0; n < 5; n++) assertEquals(hour.read(2)("app").perMinute, [1, 1]);
  assertEquals(reads(), 1);
  for (let minute = 1030; minute < 1045; minute++) {
    time.now = minute * MINUTE_MS;
    keep([requestsOf("app", minute, 2)]);
  }
  assertEquals([hour.read(3)("app").perMinute, reads()], [[2, 2, 2], 2]);
});

Deno.test("while the store cannot be read, what is pending is told all the same", () => {
  const { hour, keep, pending, store } = newHour(1000);
  keep([requestsOf("app", 1000, 4)]);
  pending.requests = [requestsOf("app", 1000, 3)];
  store.failure = new StoreUnavailable("the disk is full");
  assertEquals(hour.read(1)("app").perMinute, [3]);
  store.failure = undefined;
  assertEquals(hour.read(1)("app").perMinute, [7]);
});
