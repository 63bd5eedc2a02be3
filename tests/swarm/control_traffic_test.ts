import { assert, assertEquals } from "@std/assert";
import { noRead } from "../support/permissions.ts";
import { liveAnHour, trafficTable } from "./control_traffic.ts";

Deno.test("the same Swarm lives the same hour each time, and about as many instances end as start", () => {
  const life = liveAnHour({ nodes: 3, services: 1000 });
  assertEquals(liveAnHour({ nodes: 3, services: 1000 }), life);
  assert(Math.abs(life.starts - life.stops) < 0.1 * life.starts, JSON.stringify(life));
});

Deno.test({
  name: "docs/scale.md has the table that the simulation makes",
  ignore: noRead,
  fn: async () => {
    const text = await Deno.readTextFile(new URL("../../docs/scale.md", import.meta.url));
    const cells = (table: string) =>
      table.split("\n").filter((line) => !/^[| :-]+$/.test(line)).map((line) => line.replaceAll(/ +/g, " "));
    const begin = /^\| +\| 3 nodes/m.exec(text)!.index;
    assertEquals(cells(text.slice(begin, text.indexOf("\n\n", begin))), cells(trafficTable()));
  },
});
