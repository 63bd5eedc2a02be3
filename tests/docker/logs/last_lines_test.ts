import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LastLines } from "../../../src/docker/logs/last_lines.ts";

Deno.test("the last lines are retained, limited by number and by size", () => {
  const line = fc.integer({ min: 0, max: 200 }).map((length) => ({ text: "x".repeat(length) }));
  fc.assert(fc.property(fc.array(line, { maxLength: 200 }), fc.nat(20), fc.nat(2000), (lines, mostLines, mostBytes) => {
    const last = new LastLines(mostLines, mostBytes);
    for (const line of lines) last.push(line);
    const kept = last.list();
    assertEquals(kept, lines.slice(lines.length - kept.length));
    const cost = (lines: { text: string }[]) => lines.reduce((sum, { text }) => sum + text.length + 64, 0);
    assertEquals(last.bytes, cost(kept));
    assert(kept.length <= mostLines && last.bytes <= mostBytes);
    const more = lines.slice(-kept.length - 1);
    if (more.length > kept.length) assert(more.length > mostLines || cost(more) > mostBytes || kept.length === 0);
  }));
});
