import { assertEquals } from "@std/assert";
import { InstanceOutput, type OutputLine, type OutputOptions } from "../../src/logs/instance_output.ts";
import { at } from "./fake_outputs.ts";

const OWNER = { id: "one", revision: "app-00001" };

/** An instance whose passes are what a function gives, and the options of each pass. */
function newOutput(read: (options: OutputOptions, pass: number) => AsyncIterable<OutputLine>) {
  const passes: OutputOptions[] = [];
  const output = new InstanceOutput(OWNER, {
    read: (_, options) => read(options, passes.push(options)),
  });
  return { output, passes };
}

function line(nanos: number): OutputLine {
  return { stream: "stdout", time: at(nanos), text: `${nanos}` };
}

Deno.test("a pass that fails because its reader leaves is no failure of the instance", async () => {
  const leaving = new AbortController();
  const { output } = newOutput(async function* ({ signal }) {
    yield line(1);
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("broken off"))));
  });
  const lines = output.live({ signal: leaving.signal });
  assertEquals((await lines.next()).value?.text, "1");
  const next = lines.next();
  leaving.abort();
  assertEquals([(await next).done, output.failure], [true, undefined]);
});

Deno.test("a further pass begins a second before the last line, but not before the time from which lines are wanted", async () => {
  const last = "2026-01-02T03:04:05.500Z";
  for (
    const [since, from] of [
      [undefined, "2026-01-02T03:04:04.500Z"],
      ["2026-01-02T03:04:03.000Z", "2026-01-02T03:04:04.500Z"],
      ["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z"],
    ] as const
  ) {
    const { output, passes } = newOutput(async function* (_, pass) {
      await Promise.resolve();
      if (pass === 1) yield { stream: "stdout", time: last, text: "last" };
    });
    const options = { signal: new AbortController().signal, ...(since === undefined ? {} : { since }) };
    assertEquals((await Array.fromAsync(output.past(options))).length, 1);
    await Array.fromAsync(output.live(options));
    assertEquals(passes.map(({ since }) => since), [since, from, from]);
  }
});

Deno.test("past lines end with their signal, also those that were held back to be sorted", async () => {
  const leaving = new AbortController();
  const { output } = newOutput(async function* () {
    await Promise.resolve();
    for (let nanos = 1; nanos <= 10; nanos++) yield line(nanos);
  });
  const lines = output.past({ signal: leaving.signal });
  assertEquals((await lines.next()).value?.text, "1");
  leaving.abort();
  assertEquals((await lines.next()).done, true);
});
