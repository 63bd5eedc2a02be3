import { assertEquals, assertMatch } from "@std/assert";
import { ROBOTS, ROBOTS_SOURCE } from "../../src/routing/known_robots.ts";
import { runMain } from "./run_main.ts";

Deno.test("robots lists every robot with its kind and operator, and the source of the list, without a server", async () => {
  const { code, out } = await runMain("robots");
  const lines = out.split("\n");
  assertEquals([code, lines.length], [0, ROBOTS.length + 3]);
  assertMatch(lines[0]!, /^TOKEN +KIND +OPERATOR$/);
  assertEquals(lines.filter((line) => /^GPTBot +ai +OpenAI$/.test(line)).length, 1);
  const { date, url, version } = ROBOTS_SOURCE;
  assertEquals(lines.at(-1), `${ROBOTS.length} tokens, chosen from ${url}, version ${version} of ${date}`);
});

Deno.test("robots --json has the source and all robots", async () => {
  const { out } = await runMain("robots", "--json");
  assertEquals(JSON.parse(out), { source: ROBOTS_SOURCE, robots: ROBOTS });
});
