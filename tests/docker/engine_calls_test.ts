import { assertEquals, assertRejects } from "@std/assert";
import type { EngineApi } from "../../src/docker/engine_api.ts";
import { EngineCalls } from "../../src/docker/engine_calls.ts";
import { EngineError, type FailureKind } from "../../src/docker/engine_error.ts";

/** An engine whose calls end as a test says. */
class FakeApi {
  readonly via = "a fake";
  #next: Error | undefined;
  disposed = 0;

  fail(error: Error): void {
    this.#next = error;
  }

  pause(_id: string): Promise<void> {
    return this.#end();
  }

  async version(): Promise<string> {
    await this.#end();
    return "26.1";
  }

  async *logs(): AsyncGenerator<string> {
    yield await Promise.resolve("a line");
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }

  #end(): Promise<void> {
    const error = this.#next;
    this.#next = undefined;
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  }
}

Deno.test("calls of the engine are counted by how they end, and end as they would", async () => {
  const [fake, calls] = [new FakeApi(), new EngineCalls()];
  const api = calls.counting(fake as unknown as EngineApi);
  assertEquals([await api.version(), await api.version(), api.via], ["26.1", "26.1", "a fake"]);
  await api.pause("one");
  for (const kind of ["away", "away", "already"] satisfies FailureKind[]) {
    fake.fail(new EngineError(kind, "no"));
    await assertRejects(() => api.pause("one"), EngineError, "no");
  }
  fake.fail(new DOMException("", "AbortError"));
  await assertRejects(() => api.version(), DOMException);
  assertEquals([...calls.all], [
    { call: "version", result: "ok", count: 2 },
    { call: "pause", result: "ok", count: 1 },
    { call: "pause", result: "away", count: 2 },
    { call: "pause", result: "already", count: 1 },
    { call: "version", result: "cancelled", count: 1 },
  ]);
});

Deno.test("what is no call with an answer is not counted", async () => {
  const [fake, calls] = [new FakeApi(), new EngineCalls()];
  const api = calls.counting(fake as unknown as EngineApi);
  const lines: unknown[] = await Array.fromAsync(api.logs("one"));
  api[Symbol.dispose]();
  assertEquals([lines, fake.disposed, [...calls.all]], [["a line"], 1, []]);
});
