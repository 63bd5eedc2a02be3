import { assertEquals } from "@std/assert";
import { Interleaver, type TimedLine } from "../../src/logs/interleaver.ts";
import { FakeClock } from "../support/fake_clock.ts";

async function* broken(): AsyncGenerator<TimedLine> {
  yield { time: "2", text: "two" };
  await Promise.reject(new Error("the engine does not answer"));
}

async function* whole(): AsyncGenerator<TimedLine> {
  yield { time: "1", text: "one" };
  yield { time: "3", text: "three" };
}

Deno.test("a source that rejects has ended, and the lines of the others come all the same", async () => {
  const lines = new Interleaver<TimedLine>({ clock: new FakeClock(), signal: new AbortController().signal });
  lines.add(broken());
  lines.add(whole());
  const texts: (string | undefined)[] = [];
  for (let n = 0; n < 4; n++) texts.push((await lines.next())?.text);
  assertEquals(texts, ["one", "two", "three", undefined]);
});
