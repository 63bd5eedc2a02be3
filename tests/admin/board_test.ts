import { assert, assertEquals, assertThrows } from "@std/assert";
import { filledIn, readBoard } from "../support/board.ts";
import { noRead } from "../support/permissions.ts";

Deno.test(
  { name: "the Grafana board is one that can be imported, with a data source of choice", ignore: noRead },
  async () => {
    const { id, panels, schemaVersion, templating, uid } = await readBoard();
    assertEquals([id, uid, schemaVersion], [null, "cless", 39]); // 39 is that of Grafana 10.4; later ones read it
    const variables = templating.list.map(({ name, type }) => `${name}: ${type}`);
    assertEquals(variables, ["datasource: datasource", "instance: query", "service: query"]);
    assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
    assertEquals(panels.filter(({ type }) => type === "row").map(({ title }) => title), [
      ...["All services", "Service $service", "cless itself"],
    ]);
    for (const { datasource, targets, title, type } of panels) {
      if (type === "row") continue;
      assertEquals(datasource, { type: "prometheus", uid: "${datasource}" }, title);
      assert(targets !== undefined && targets.length > 0, title);
      for (const target of targets) assertEquals(target.datasource.uid, "${datasource}", title);
      assertEquals(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
  },
);

Deno.test(
  { name: "no panel of the Grafana board lies over another one or beside the board", ignore: noRead },
  async () => {
    const taken = new Map<string, string>();
    for (const { gridPos: { h, w, x, y }, title } of (await readBoard()).panels) {
      assert(x >= 0 && x + w <= 24, title);
      for (let down = y; down < y + h; down++) {
        for (let right = x; right < x + w; right++) {
          const other = taken.get(`${right} ${down}`);
          assertEquals(other, undefined, title);
          taken.set(`${right} ${down}`, title);
        }
      }
    }
  },
);

Deno.test({ name: "each query of the row about one service asks for that service alone", ignore: noRead }, async () => {
  const { panels } = await readBoard();
  const rows = panels.filter(({ type }) => type === "row");
  const [from, to] = [rows[1]!.gridPos.y, rows[2]!.gridPos.y];
  const own = panels.filter(({ gridPos: { y }, type }) => type !== "row" && y > from && y < to);
  assert(own.length >= 10);
  for (const { targets, title } of own) {
    for (const { expr } of targets!) {
      const selectors = expr.match(/\{[^}]*\}/g) ?? [];
      assert(selectors.length > 0 && selectors.every((one) => one.includes('service="$service"')), title);
    }
  }
});

Deno.test("a variable that has no value is a mistake", () => {
  assertEquals(filledIn('a{b="$b",c="${c}"}', { b: "1", c: "2" }), 'a{b="1",c="2"}');
  assertThrows(() => filledIn("$nosuch", {}), Error, "no value for $nosuch");
});
