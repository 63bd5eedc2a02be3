import { assert, assertEquals, assertMatch } from "@std/assert";
import { newInstanceId } from "../../src/pool/instance_id.ts";

const REVISION = { service: "app", name: "app-00001" };

Deno.test("an instance's id names its service and revision, and no two are alike", () => {
  const ids = Array.from({ length: 1000 }, () => newInstanceId(REVISION));
  for (const id of ids) assertMatch(id, /^cless-app-app-00001-[0-9a-z]{6}$/);
  assertEquals(new Set(ids).size, ids.length);
});

Deno.test("every character is as likely as any other", () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 6000; n++) {
    for (const character of newInstanceId(REVISION).slice(-6)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  assertEquals(counts.size, 36);
  // 1000 each. The remainders of a byte would favour these four: 4500 in place of 4000, give or take some 60.
  const favoured = [..."0123"].reduce((sum, character) => sum + counts.get(character)!, 0);
  assert(favoured < 4300, `${favoured}`);
});
