import { assert, assertEquals, assertMatch } from "@std/assert";
import manifest from "../../deno.json" with { type: "json" };
import { freeBytes, grep, portHolder, readProc, readProcSync } from "../../src/base/machine.ts";
import { noFakeDocker } from "../support/fake_docker.ts";
import { freePorts } from "../support/free_ports.ts";
import { noNet, noRun } from "../support/permissions.ts";

/** A test with no more permissions than the program has. */
function machineTest(name: string, fn: () => void | Promise<void>, ignore = false): void {
  const permissions = manifest.permissions.default as Deno.PermissionOptionsObject;
  Deno.test({ name, ignore: ignore || noFakeDocker || noNet, permissions, fn });
}

const noProc = Deno.build.os !== "linux";

machineTest("files in /proc are read", async () => {
  assertMatch(await readProc("/proc/net/route"), /^Iface\tDestination\t/);
  assertMatch(await readProc(`/proc/${Deno.pid}/limits`), /^Max open files +\d+ /m);
}, noProc);

machineTest("several files in /proc are read one after the other, without those that are missing", () => {
  const files = ["/proc/net/route", "/proc/none", `/proc/${Deno.pid}/limits`];
  assertMatch(readProcSync(...files), /^Iface\tDestination\t[^]*^Max open files +\d+ /m);
}, noProc);

machineTest("a file that is not there says nothing", async () => {
  assertEquals(await readProc("/proc/none"), "");
  assertEquals(readProcSync("/proc/none"), "");
  assertEquals(await readProc("/nowhere"), "");
});

machineTest("the free space of a folder is known, and unknown for a missing folder", async () => {
  const free = await freeBytes("/");
  assert(free !== undefined && Number.isInteger(free) && free >= 0, `${free}`);
  assertEquals(await freeBytes("/nowhere"), undefined);
});

machineTest("lines of many files are found, and missing files are skipped", async () => {
  const files = ["/nowhere", `/proc/${Deno.pid}/limits`];
  const [found, ...more] = await grep("^Max open files|^Max (none|nothing)$", files);
  assertEquals([found?.file, found?.line.slice(0, 14), more], [files[1], "Max open files", []]);
  assertEquals(await grep("x", ["/nowhere"]), []);
}, noProc);

Deno.test({
  name: "the program that listens on a port is found, if this user may know",
  ignore: noNet || noRun,
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const holder = await portHolder(listener.addr.port);
    assert(holder === undefined || holder === `deno (pid ${Deno.pid})`, holder);
  },
});

Deno.test({
  name: "a port on which nothing listens has no holder",
  ignore: noNet || noRun,
  fn: async () => {
    const port = freePorts(1);
    assertEquals(await portHolder(port), undefined);
  },
});
