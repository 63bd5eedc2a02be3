import { assertEquals } from "@std/assert";
import { frameOf, type Line } from "../../../src/cli/top/frame.ts";
import { type Data, listLines, listPage } from "../../../src/cli/top/list_view.ts";
import { firstState } from "../../../src/cli/top/state.ts";
import { newActivity, NOW, SERVICES } from "./activities.ts";

const STATE = firstState({ order: "state", isReversed: false, filter: "" });
const DATA: Data = { services: SERVICES, now: NOW };

/** The texts of lines. */
function textsOf(lines: readonly Line[]): string[] {
  return lines.map((line) => line.map(({ text }) => text).join("").trimEnd());
}

function shown(given: { state?: object; data?: Partial<Data>; columns?: number; rows?: number; offset?: number } = {}) {
  const { columns = 120, data = {}, offset = 0, rows = 12, state = {} } = given;
  return textsOf(listLines({ ...STATE, ...state }, { ...DATA, ...data }, { columns, rows }, offset).lines);
}

Deno.test("the list has a line that sums up, what needs attention, the services, and the keys", () => {
  assertEquals(shown(), [
    "5 services, 1 awake, 92.0 MiB not used",
    "shop is failing for 3m: it ended with code 1",
    "                                                          IN                        wakes in the last hour",
    "SERVICE       STATE       REQ/S  ERR/S    P50    P99  FLIGHT    MEMORY      SWAP  COLD  PAUSED  HIBERNATED  LAST 10 MIN",
    "shop          failing         0      0      -      -       0         -         -     0       0           0  ▁▁▁▁▁▁▁▁▁▁",
    "blog          ready         3.2    0.2  3.7ms  412ms     2+1  80.0 MiB         -     1      12           2  ▁▂▄█▅▂▁▁▄▆",
    "api           paused          0      0      -      -       0   4.0 MiB  32.0 MiB     0       0           0  ▁▁▁▁▁▁▁▁▁▁",
    "wiki          hibernated      0      0      -      -       0         -  32.0 MiB     0       0           0  ▁▁▁▁▁▁▁▁▁▁",
    "docs          asleep          0      0      -      -       0         -         -     0       0           0  ▁▁▁▁▁▁▁▁▁▁",
    "",
    "",
    "Enter open   s sort: state   r reverse   / filter   q quit",
  ]);
});

Deno.test("a screen with few rows has only a line that sums up, the heads and the services", () => {
  assertEquals(shown({ columns: 40, rows: 4 }), [
    "5 services, 1 awake, 92.0 MiB not used",
    "SERVICE       STATE       REQ/S    P99",
    "shop          failing         0      -",
    "blog          ready         3.2  412ms",
  ]);
});

Deno.test("the list scrolls so that the marked service is seen, and no further", () => {
  const services = Array.from("abcdefghijklmnopqrst", (name) => newActivity(name));
  const names = (marked: string, offset: number) => {
    const { lines, offset: after } = listLines(
      { ...STATE, marked },
      { ...DATA, services },
      { columns: 40, rows: 10 },
      offset,
    );
    return [
      textsOf(lines).slice(3, -1).map((line) => line[0]).join(""),
      after,
      textsOf(lines).at(-1)!.split("   ").at(-1),
    ];
  };
  assertEquals(names("a", 0), ["abcdef", 0, "1–6 of 20"]);
  assertEquals(names("f", 0), ["abcdef", 0, "1–6 of 20"]);
  assertEquals(names("g", 0), ["bcdefg", 1, "2–7 of 20"]);
  assertEquals(names("d", 5), ["defghi", 3, "4–9 of 20"]);
  assertEquals(names("t", 0), ["opqrst", 14, "15–20 of 20"]);
  assertEquals(names("t", 19), ["opqrst", 14, "15–20 of 20"], "no row is empty");
  assertEquals(listPage(STATE, { ...DATA, services }, { columns: 40, rows: 10 }), 6);
});

Deno.test("of many services that fail, the screen names some", () => {
  const services = Array.from("abcde", (name) => newActivity(name, { state: "failing", failure: "no" }));
  assertEquals(shown({ data: { services } }).slice(0, 5).map((line) => line.slice(0, 58).trim()), [
    "5 services, 0 awake",
    "a is failing: no",
    "b is failing: no",
    "and 3 more are failing",
    "",
  ]);
  assertEquals(shown({ data: { services: services.slice(0, 3) } }).slice(3, 4), ["c is failing: no"]);
});

Deno.test("the marked service is shown in reverse, over the whole width", () => {
  const { lines } = listLines({ ...STATE, marked: "blog" }, DATA, { columns: 60, rows: 12 }, 0);
  const inks = lines.map((line) => [...new Set(line.flatMap(({ inks }) => inks))].join(" "));
  assertEquals(inks.slice(0, 6), ["bold", "red", "", "dim", "red dim", "reverse"]);
  assertEquals(lines[5]!.map(({ text }) => text).join("").length >= 60, true);
});

Deno.test("a lost connection is told in the first line, and what is old is dim", () => {
  const { lines } = listLines({ ...STATE, marked: "docs" }, { ...DATA, lost: "connection refused" }, {
    columns: 60,
    rows: 12,
  }, 0);
  assertEquals(textsOf(lines)[0], "connection lost (connection refused), trying again");
  assertEquals([...new Set(lines[5]!.flatMap(({ inks }) => inks))], ["dim"]);
});

Deno.test("the last line tells the filter and the order", () => {
  const last = (state: object) => shown({ state }).at(-1);
  assertEquals(last({ filter: "blog", isTyping: true }), "/blog   Enter keeps it, Esc clears it");
  assertEquals(
    last({ filter: "blog", order: "memory", isReversed: true }),
    [
      "/ blog (1 of 5)",
      "Esc all",
      "Enter open",
      "s sort: memory",
      "r reversed",
      "q quit",
    ].join("   "),
  );
});

Deno.test("a screen of any size has something of the list", () => {
  for (let columns = 1; columns <= 30; columns++) {
    for (let rows = 1; rows <= 15; rows++) {
      const { lines } = listLines({ ...STATE, marked: "wiki" }, DATA, { columns, rows }, 3);
      assertEquals(frameOf(lines, { columns, rows }, true).map((row) => row.length), Array(rows).fill(columns));
    }
  }
});

Deno.test("without services, the list says why", () => {
  assertEquals(shown({ data: { services: [] } })[3], "there are no services yet; cless deploy makes one");
  assertEquals(shown({ state: { filter: "zzz" } })[4], "no service matches zzz");
});
