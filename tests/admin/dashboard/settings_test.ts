import { assertEquals } from "@std/assert";
import { LABELS } from "../../../src/admin/dashboard/ui/model/deploy_form.js";
import { TITLES } from "../../../src/admin/dashboard/ui/model/idle_settings.js";
import { fieldText, limitText, settingsOf, volumeCommand } from "../../../src/admin/dashboard/ui/model/settings.js";
import * as cli from "../../../src/cli/look.ts";

Deno.test("settings tell where volumes are, and where each limit comes from, but no variables", () => {
  const template = {
    ...{ image: "shop:1", port: 3000, memory: "128m", command: ["run", "-v"], env: { A: "1" }, secretEnv: { B: "b" } },
    volumes: [{ source: "shop-data", path: "/data", readOnly: false }, {
      source: "/etc/x",
      path: "/x",
      readOnly: true,
    }],
  };
  const limits = {
    memory: { value: "128m", from: "service" },
    stopAfter: { value: "0", from: "--stop-after" },
    concurrency: { value: 0, from: "default" },
    droppedCapabilities: { value: ["CHOWN", "KILL"], from: "default" },
  };
  const volumeNodes = [{ source: "shop-data", node: "second" }];
  assertEquals(settingsOf({ template, limits, volumeNodes }).map(({ name, text, from }) => [name, text, from]), [
    ["image", "shop:1", undefined],
    ["port", "3000", undefined],
    ["command", "run -v", undefined],
    ["volume", "/data, from shop-data on the machine second", undefined],
    ["volume", "/x, from /etc/x, read only", undefined],
    ["memory", "128m", "service"],
    ["stopAfter", "never", "--stop-after"],
    ["concurrency", "no limit", "default"],
    ["droppedCapabilities", "CHOWN, KILL", "default"],
  ]);
});

Deno.test("a limit has the words that cless describe has for it", () => {
  const limits = [
    ...[["memory", "0"], ["memory", "256m"], ["memory", "12670153523b"], ["memory", "12373196k"], ["cpus", 0]],
    ...[["concurrency", 0], ["concurrency", 10], ["pauseAfter", "0"], ["pauseAfter", "30s"], ["minInstances", 0]],
  ] as const;
  for (const [name, value] of limits) assertEquals(limitText(name, value), cli.limitText(name, value));
  for (const names of [[], ["CHOWN", "KILL"]]) {
    assertEquals(limitText("droppedCapabilities", names), cli.limitText("droppedCapabilities", names));
  }
});

Deno.test("a setting has the name that the form of a deploy and what if have for it", () => {
  const { env: _, name: __, tag: ___, traffic: ____, ...labels } = LABELS;
  for (const [field, label] of Object.entries({ ...labels, ...TITLES })) assertEquals(fieldText(field), label);
  const others = ["cpus", "readiness.path", "droppedCapabilities", "env API_KEY"].map(fieldText);
  assertEquals(others, ["CPUs", "Readiness path", "Dropped capabilities", "env API_KEY"]);
});

Deno.test("a shell with the volumes of an app that does not start is one command of docker", () => {
  assertEquals(volumeCommand([]), undefined);
  const volumes = [{ source: "shop-data", path: "/data" }, { source: "/etc/x", path: "/x", readOnly: true }];
  assertEquals(volumeCommand(volumes), "docker run --rm -it -v shop-data:/data -v /etc/x:/x:ro busybox");
});
