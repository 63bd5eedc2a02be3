import { assertEquals } from "@std/assert";
import { freePorts } from "./free_ports.ts";
import { netTest, noNet, noRun } from "./permissions.ts";

netTest("no port is given twice", () => {
  const ports = Array.from({ length: 200 }, () => freePorts(1));
  assertEquals(new Set(ports).size, ports.length);
  return Promise.resolve();
});

Deno.test({
  name: "files that run at the same time have no port in common",
  ignore: noNet || noRun,
  fn: async () => {
    const module = new URL("./free_ports.ts", import.meta.url).href;
    const script =
      `import { freePorts } from "${module}"; console.log(freePorts(1)); await Deno.stdin.readable.getReader().read();`;
    const others = Array.from({ length: 4 }, () => {
      const args = ["eval", "--quiet", script];
      return new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    });
    const blocks = new Set([Math.floor(freePorts(1) / 250)]);
    for (const other of others) {
      const reader = other.stdout.getReader();
      const { value } = await reader.read();
      blocks.add(Math.floor(Number(new TextDecoder().decode(value)) / 250));
      await reader.cancel();
    }
    assertEquals(blocks.size, 1 + others.length);
    for (const other of others) {
      await other.stdin.close();
      await other.status;
    }
  },
});
