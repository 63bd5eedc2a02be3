import { assertEquals } from "@std/assert";
import type { InstanceJson } from "../../../src/admin/operations/instances.ts";
import { frameOf } from "../../../src/cli/top/frame.ts";
import { LogLines } from "../../../src/cli/top/log_lines.ts";
import { logPage, type ServiceData, serviceLines } from "../../../src/cli/top/service_view.ts";
import { firstState } from "../../../src/cli/top/state.ts";
import { newActivity, NOW, SERVICES } from "./activities.ts";

const STATE = firstState({ order: "state", isReversed: false, filter: "" });

/** An instance of the service blog. */
function newInstance(id: string, given: Partial<InstanceJson> = {}): InstanceJson {
  return {
    ...{ id, service: "blog", revision: "blog-00002", state: "ready", address: "172.20.0.2:8080", inFlight: 2 },
    ...{ startedAt: "2027-01-31T11:50:00Z", lastUsedAt: "2027-01-31T11:59:58Z", memoryBytes: 80 * 2 ** 20 },
    ...given,
  };
}

/** A log with these texts. */
function newLog(...texts: string[]): LogLines {
  const log = new LogLines();
  for (const text of texts) {
    log.push({ instance: "blog-2-a1", revision: "blog-00002", stream: "stdout", time: undefined, text });
  }
  return log;
}

const NUMBERS = Array.from({ length: 50 }, (_, number) => `line ${number}`);
const DATA: ServiceData = {
  services: SERVICES,
  now: NOW,
  instances: [newInstance("blog-2-a1")],
  log: newLog(...NUMBERS),
};

function shown(
  name: string,
  given: { state?: object; data?: Partial<ServiceData>; columns?: number; rows?: number } = {},
) {
  const { columns = 120, data = {}, rows = 14, state = {} } = given;
  return serviceLines(name, { ...STATE, ...state }, { ...DATA, ...data }, { columns, rows })
    .map((line) => line.map(({ text }) => text).join("").trimEnd());
}

Deno.test("one service has its figures, its instances and its log", () => {
  assertEquals(shown("blog"), [
    "blog is ready",
    "3.2 requests/s, 0.2 errors/s, 2+1 in flight, answers after 3.7ms (p50), 412ms (p99)",
    "80.0 MiB of memory",
    "woken in the last hour: 1 cold, 12 from paused, 2 from hibernated",
    "requests a minute: ▁▂▄█▅▂▁▁▄▆ at most 20",
    "",
    "INSTANCE   STATE  IN-FLIGHT  MEMORY    AGE  LAST-USED",
    "blog-2-a1  ready  2          80.0 MiB  10m  2s ago",
    "",
    "blog-2-a1 | line 46",
    "blog-2-a1 | line 47",
    "blog-2-a1 | line 48",
    "blog-2-a1 | line 49",
    "Esc back   Space hold   ↑↓←→ move   q quit",
  ]);
  assertEquals(logPage("blog", DATA, { columns: 120, rows: 14 }), 4);
});

Deno.test("a log that is held stays where it is, and moves to the side", () => {
  const held = shown("blog", { state: { logEnd: 20, logLeft: 3 } });
  assertEquals(held.slice(9), [
    "blog-2-a1 | e 17",
    "blog-2-a1 | e 18",
    "blog-2-a1 | e 19",
    "blog-2-a1 | e 20",
    "Esc back   Space follow   ↑↓←→ move   q quit",
  ]);
  const log = newLog(...Array.from({ length: 9000 }, (_, number) => String(number)));
  assertEquals(shown("blog", { data: { log }, state: { logEnd: 20 } })[9], `blog-2-a1 | ${log.bounds.first}`);
});

Deno.test("a service that fails tells all of the reason", () => {
  assertEquals(shown("shop")[0], "shop is failing for 3m: it ended with code 1; look at KEY");
  assertEquals(shown("shop")[1], "0 requests/s, 0 errors/s, 0 in flight, no answers in the last minute");
});

Deno.test("what is not there is told", () => {
  assertEquals(shown("blog", { data: { instances: [], log: newLog() } }).slice(5, 9), [
    ...["", "no instance runs now", "", "nothing is written yet"],
  ]);
  assertEquals(shown("gone", { data: { log: newLog(), logProblem: "there is no service gone" } }).slice(0, 3), [
    ...["gone is not there any more", "", "there is no service gone"],
  ]);
  assertEquals(
    shown("blog", { data: { lost: "connection reset" } })[0],
    "connection lost (connection reset), trying again",
  );
});

Deno.test("a few rows are for the log", () => {
  assertEquals(shown("blog", { rows: 5 }), [
    ...["blog is ready", "", "blog-2-a1 | line 48", "blog-2-a1 | line 49"],
    "Esc back   Space hold   ↑↓←→ move   q quit",
  ]);
});

Deno.test("a screen of any size has something of a service", () => {
  for (let columns = 1; columns <= 30; columns++) {
    for (let rows = 1; rows <= 15; rows++) {
      const lines = serviceLines("blog", STATE, DATA, { columns, rows });
      assertEquals(frameOf(lines, { columns, rows }, true).map((row) => row.length), Array(rows).fill(columns));
    }
  }
});

Deno.test("many instances leave most rows to the log", () => {
  const instances = Array.from({ length: 20 }, (_, at) => newInstance(`blog-2-${at}`, { swapBytes: 2 ** 20 }));
  const lines = shown("blog", { data: { instances }, rows: 21 });
  assertEquals(lines[6], "INSTANCE  STATE  IN-FLIGHT  MEMORY    SWAP     AGE  LAST-USED");
  assertEquals(lines.slice(11, 14), [
    "blog-2-4  ready  2          80.0 MiB  1.0 MiB  10m  2s ago",
    "and 15 more",
    "",
  ]);
});

Deno.test("a service that swaps says how much of its memory is there", () => {
  const data = { services: [newActivity("blog", { memoryBytes: 2 ** 20, swapBytes: 2 ** 21 })] };
  assertEquals(shown("blog", { data })[2], "1.0 MiB of memory, and 2.0 MiB in the swap");
});
