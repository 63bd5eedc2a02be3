import { assertEquals } from "@std/assert";
import { jsonLines } from "../../src/docker/engine_json.ts";

Deno.test("only the lines of JSON in an output are read", () => {
  const same = (value: unknown) => value;
  assertEquals(
    jsonLines('WARNING: {"not": "json"}\n{"a":1}\n\n[{"b":2}]\n{broken\nWARNING: x\n"text"\nnull\n 3\n{"c":3}', same),
    [{ a: 1 }, [{ b: 2 }], { c: 3 }],
  );
  assertEquals(jsonLines('{"a":1}\r\n{"b":2}\r\n', same), [{ a: 1 }, { b: 2 }]);
  assertEquals(jsonLines("", same), []);
  assertEquals(jsonLines('{"level":"warn"}\n{"id":"a"}', ({ id }: { id: string }) => id, "id"), ["a"]);
  assertEquals(jsonLines('{"id":1}\n{"id":2}', ({ id }: { id: number }) => id === 1 ? undefined : id), [2]);
});
