import { assertEquals } from "@std/assert";
import { settingsOf } from "../../../src/admin/dashboard/ui/model/settings.js";

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
    stopAfter: { value: "0s", from: "--stop-after" },
    concurrency: { value: 0, from: "default" },
    droppedCapabilities: { value: ["CHOWN", "KILL"], from: "default" },
  };
  assertEquals(settingsOf({ template, limits }).map(({ name, text, from }) => [name, text, from]), [
    ["image", "shop:1", undefined],
    ["port", "3000", undefined],
    ["command", "run -v", undefined],
    ["volume", "/data, from shop-data", undefined],
    ["volume", "/x, from /etc/x, read only", undefined],
    ["memory", "128m", "service"],
    ["stopAfter", "never", "--stop-after"],
    ["concurrency", "no limit", "default"],
    ["droppedCapabilities", "CHOWN KILL", "default"],
  ]);
});
