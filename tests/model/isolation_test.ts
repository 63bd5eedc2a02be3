import { assertEquals, assertThrows } from "@std/assert";
import { beyondEngine, DROPPED, OLDER_DEFAULTS, parseCapability, withDefaults } from "../../src/model/isolation.ts";

const DEFAULTS = { dropped: DROPPED };

Deno.test("containers lose raw packets, device files and the audit log, unless a template adds them", () => {
  assertEquals(withDefaults(DEFAULTS), { add: [], drop: ["AUDIT_WRITE", "MKNOD", "NET_RAW"] });
  assertEquals(withDefaults(DEFAULTS, { add: ["NET_RAW"], drop: ["KILL"] }), {
    add: ["NET_RAW"],
    drop: ["AUDIT_WRITE", "KILL", "MKNOD"],
  });
  assertEquals(withDefaults(DEFAULTS, { add: [], drop: ["MKNOD", "MKNOD"] }).drop, ["AUDIT_WRITE", "MKNOD", "NET_RAW"]);
});

Deno.test("ALL stands for everything that is dropped, and what is added is kept", () => {
  assertEquals(withDefaults(DEFAULTS, { add: ["CHOWN"], drop: ["ALL", "KILL"] }), { add: ["CHOWN"], drop: ["ALL"] });
});

Deno.test("a revision from before has no defaults, and what its template says", () => {
  assertEquals(withDefaults(OLDER_DEFAULTS), { add: [], drop: [] });
  assertEquals(withDefaults(OLDER_DEFAULTS, { add: [], drop: ["KILL"] }).drop, ["KILL"]);
});

Deno.test("capabilities have the names of Linux, with or without CAP_", () => {
  assertEquals([parseCapability("NET_RAW"), parseCapability("CAP_SYS_ADMIN")], ["NET_RAW", "SYS_ADMIN"]);
  for (const wrong of ["", "ALL", "net_raw", "CAP_", "CAP_ALL", "X"]) {
    assertThrows(() => parseCapability(wrong), RangeError);
  }
});

Deno.test("capabilities beyond those that the engine gives are told apart", () => {
  assertEquals(beyondEngine({ add: ["CHOWN", "NET_RAW", "SYS_ADMIN", "NET_ADMIN"], drop: [] }), [
    "SYS_ADMIN",
    "NET_ADMIN",
  ]);
});
