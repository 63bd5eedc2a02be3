import { assert } from "@std/assert";
import { isServiceName } from "../../src/model/service.ts";

Deno.test("a service name has at most forty characters, begins with a letter, and holds no --", () => {
  for (const good of ["a", "golang", "a-b-1", `a${"b".repeat(39)}`]) assert(isServiceName(good), good);
  for (const bad of ["", "1a", "-a", "a-", "A", "a--b", "admin", "a.b", "a_b", `a${"b".repeat(40)}`]) {
    assert(!isServiceName(bad), bad);
  }
});
