import { assertEquals, assertRejects } from "@std/assert";
import { passing, whileShown } from "../../src/cli/terminal.ts";

/** A screen that notes what is done to it. */
function newScreen() {
  const shown: string[] = [];
  const screen = {
    isTerminal: true,
    wait: (text: string) => void shown.push(`wait ${text}`),
    line: (text: string) => void shown.push(`line ${text}`),
    live: (text: string) => void shown.push(`live ${text}`),
    clear: () => void shown.push("clear"),
  };
  return { shown, screen };
}

Deno.test("a text that is shown during an action is gone after it, also if the action fails", async () => {
  for (const fails of [false, true]) {
    const { shown, screen } = newScreen();
    const act = () => fails ? Promise.reject(new RangeError("no")) : Promise.resolve(7);
    if (fails) await assertRejects(() => whileShown("waiting", act, screen), RangeError);
    else assertEquals(await whileShown("waiting", act, screen), 7);
    assertEquals(shown, ["live waiting", "clear"]);
  }
});

Deno.test("on a screen for one of many, each line begins with its name, and none stays", () => {
  const { shown, screen } = newScreen();
  const own = passing(screen, "web");
  own.line("starting");
  own.live("  1 of 3 layers");
  own.wait("  12s: no answer yet");
  own.clear();
  assertEquals(shown, ["live web: starting", "live web: 1 of 3 layers", "wait web: 12s: no answer yet", "clear"]);
});
