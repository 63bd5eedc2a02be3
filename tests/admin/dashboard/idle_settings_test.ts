import { assertEquals } from "@std/assert";
import * as idle from "../../../src/admin/dashboard/ui/model/idle_settings.js";
import { parseDuration } from "../../../src/model/time.ts";

Deno.test("a slider's places are settings that the API understands, from the shortest to never", () => {
  for (const choices of Object.values(idle.CHOICES)) {
    const lengths = choices.map(idle.settingMs);
    assertEquals(lengths, lengths.toSorted((a, b) => a - b));
    assertEquals(lengths.at(-1), Infinity);
    assertEquals(choices.slice(0, -1).map(parseDuration), lengths.slice(0, -1));
  }
});

Deno.test("the present setting has its own place, however it is written", () => {
  assertEquals(idle.choicesFor("pauseAfter", "60s"), idle.CHOICES.pauseAfter);
  assertEquals(idle.placeOf(idle.CHOICES.pauseAfter, "60s"), idle.CHOICES.pauseAfter.indexOf("1m"));
  const odd = idle.choicesFor("stopAfter", "7m");
  assertEquals(odd.slice(2, 5), ["5m", "7m", "10m"]);
  assertEquals(odd[idle.placeOf(odd, "7m")], "7m");
  assertEquals(idle.choicesFor("stopAfter", "9000h").slice(-2), ["9000h", "0"]);
});

Deno.test("a setting is said in words", () => {
  const texts = ["0", "0s", "500ms", "30s", "90s", "2m", "24h", "48h", "168h"].map(idle.settingText);
  assertEquals(texts, ["never", "never", "500ms", "30 s", "90 s", "2 min", "24 h", "2 days", "7 days"]);
});

Deno.test("only what differs is deployed", () => {
  const before = { pauseAfter: "60s", hibernateAfter: "5m", stopAfter: "24h" };
  assertEquals(idle.changedSettings(before, { ...before, pauseAfter: "1m" }), {});
  assertEquals(idle.changedSettings(before, { ...before, stopAfter: "0" }), { stopAfter: "0" });
});
