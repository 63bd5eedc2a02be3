import { assertEquals } from "@std/assert";
import { judge } from "./acceptance.ts";

const EXCEPTIONS = { "a: b": "it cannot be so" };

Deno.test("suites pass if only the exceptions fail, and only with their counts at the end", () => {
  const one = "note: x\nok    c (12 ms)\nFAIL  a: b: no such thing\n1 passed, 1 failed\n";
  const two = "ok    d (one) (3 ms)\nok    e (4 ms)\n2 passed, 0 failed\n";
  assertEquals(judge({ one, two }, EXCEPTIONS), { passed: 3, wrong: [] });
  assertEquals(judge({ one, two: "ok    d (3 ms)\n" }, EXCEPTIONS), {
    passed: 2,
    wrong: ['two: it did not end with "1 passed, 0 failed"'],
  });
  assertEquals(judge({ one, two: "0 passed, 0 failed\n" }, EXCEPTIONS).wrong, [
    'two: it did not end with "0 passed, 0 failed"',
  ]);
});

Deno.test("a test that fails and is no exception is wrong, and so is an exception that passes or is not there", () => {
  const failing = "FAIL  a: c\nFAIL  a: b: no\nok    d (1 ms)\n1 passed, 2 failed\n";
  assertEquals(judge({ one: failing }, EXCEPTIONS), { passed: 1, wrong: ["one: a: c"] });
  assertEquals(judge({ one: "ok    a: b (1 ms)\nok    d (1 ms)\n2 passed, 0 failed\n" }, EXCEPTIONS), {
    passed: 1,
    wrong: ["one: it passes, and is no exception any more: a: b"],
  });
  assertEquals(judge({ one: "ok    d (1 ms)\n1 passed, 0 failed\n" }, EXCEPTIONS), {
    passed: 1,
    wrong: ["no suite has a test of this name: a: b"],
  });
});
