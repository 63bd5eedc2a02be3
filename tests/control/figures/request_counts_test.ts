import { assert, assertEquals } from "@std/assert";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";

const MINUTE_MS = 60_000;
/** The begin of a minute. */
const BEGIN = 1_000_000 * MINUTE_MS;

/** Counts for services, with a clock. */
function newCounts(...services: string[]) {
  const time = { now: BEGIN };
  const known = new Map(services.map((name) => [name, true]));
  const counts = new RequestCounts(() => time.now, known);
  const send = (count: number, status = 200, ms = 4) => {
    for (let n = 0; n < count; n++) counts.requested(services[0]!, status, ms);
  };
  const rates = () => {
    const { requestsPerSecond, errorsPerSecond } = counts.recent(services[0]!);
    return [requestsPerSecond, errorsPerSecond];
  };
  return { counts, known, rates, send, time };
}

Deno.test("a rate is that of the last ten seconds, and errors are only answers with 5xx", () => {
  const { rates, send, time } = newCounts("app");
  assertEquals(rates(), [0, 0]);
  for (let second = 0; second < 30; second++) {
    send(4);
    send(1, 404);
    send(2, 502);
    send(1, 499);
    time.now += 1000;
  }
  assertEquals(rates(), [8, 2]);
  time.now += 2500;
  assertEquals(rates(), [6, 1.5]);
  time.now += 7500;
  assertEquals(rates(), [0, 0]);
});

Deno.test("a single request counts for ten seconds, and is forgotten after fifteen", () => {
  const { rates, send, time } = newCounts("app");
  send(1);
  for (const [after, rate] of [[0, 0.1], [9999, 0.1], [12_500, 0.05], [15_000, 0]] as const) {
    time.now = BEGIN + after;
    assertEquals(rates(), [rate, 0], `${after}`);
  }
});

Deno.test("the quantiles are those of the last minute, within 10%", () => {
  const { counts, send, time } = newCounts("app");
  const close = (told: number | undefined, ms: number) => assert(Math.abs(told! / ms - 1) < 0.1, `${told} for ${ms}`);
  assertEquals(counts.recent("app").p50Ms, undefined);
  send(1000, 200, 900);
  time.now += 30_000;
  send(980, 200, 0.3);
  send(20, 200, 2000);
  time.now += 36_000; // the slow ones at the begin are older than a minute now
  const { p50Ms, p99Ms } = counts.recent("app");
  close(p50Ms, 0.3);
  close(p99Ms, 2000);
  time.now += MINUTE_MS;
  assertEquals([counts.recent("app").p50Ms, counts.recent("app").p99Ms], [undefined, undefined]);
});

Deno.test("sums are by minute of the wall clock, and each request is in exactly one of them", () => {
  const { counts, send, time } = newCounts("app");
  time.now += 59_999;
  send(2, 200, 4);
  send(1, 500, 1000);
  time.now += 1;
  send(5, 200, 4);
  const first = { service: "app", minute: 1_000_000, requests: 3, errors: 1, latencies: [[8, 2], [40, 1]] as const };
  const second = { service: "app", minute: 1_000_001, requests: 5, errors: 0, latencies: [[8, 5]] as const };
  assertEquals(counts.pending, [first, second]);
  counts.clean();
  assertEquals(counts.pending, []);
  send(1, 200, 4);
  assertEquals(counts.pending, [{ ...second, requests: 1, latencies: [[8, 1]] }]);
  assertEquals(counts.recent("app").requestsPerSecond, 0.9); // what is stored is still shown
});

Deno.test("the shortest and the longest times have a bucket", () => {
  const { counts, send } = newCounts("app");
  for (const ms of [0, 0.01, 0.125, 1e9, Infinity]) send(1, 200, ms);
  assertEquals(counts.pending[0]!.latencies, [[-12, 3], [72, 2]]);
});

Deno.test("requests of what is no service, or no longer, make no entry", () => {
  const { counts, known, send } = newCounts("app");
  counts.requested("unknown", 404, 1);
  send(1);
  counts.forget("app");
  known.delete("app");
  send(1);
  assertEquals([counts.pending, counts.recent("app").requestsPerSecond], [[], 0]);
});

Deno.test("a service without requests for a minute takes no memory, and one with requests keeps its rate", () => {
  const { counts, known, send, time } = newCounts("app");
  send(1);
  time.now += MINUTE_MS;
  send(1);
  counts.clean();
  assertEquals(counts.recent("app").requestsPerSecond, 0.1);
  time.now += 2 * MINUTE_MS;
  counts.clean();
  known.delete("app"); // it could make no new entry
  send(1);
  assertEquals(counts.pending, []);
});

Deno.test("while nothing can be stored, the newest sixty minutes are retained", () => {
  const { counts, send, time } = newCounts("app");
  for (let minute = 0; minute < 100; minute++) {
    send(1);
    time.now += MINUTE_MS;
  }
  send(1);
  const minutes = counts.pending.map(({ minute }) => minute);
  assertEquals([minutes.length, minutes[0], minutes.at(-1)], [61, 1_000_040, 1_000_100]);
});

Deno.test("a clock that is set back makes no rate of long ago", () => {
  const { counts, rates, send, time } = newCounts("app");
  send(100);
  time.now -= 30 * MINUTE_MS;
  send(1);
  assertEquals(rates(), [0.1, 0]);
  assertEquals(counts.pending.map(({ minute, requests }) => [minute, requests]), [[1_000_000, 100], [999_970, 1]]);
});
