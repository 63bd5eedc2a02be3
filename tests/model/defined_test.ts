import { assertEquals } from "@std/assert";
import { defined } from "../../src/model/defined.ts";

Deno.test("only the fields that are undefined are left out, and the order stays", () => {
  const shown = defined({ zero: 0, gone: undefined, none: null, text: "", no: false });
  assertEquals(Object.entries(shown), [["zero", 0], ["none", null], ["text", ""], ["no", false]]);
});
