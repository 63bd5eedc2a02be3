import { assertEquals, assertRejects } from "@std/assert";
import { ApiError, Client } from "../../src/cli/client.ts";
import { newEvents } from "../../src/cli/new_events.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { apiTest, type FakeApi, problem } from "./fake_api.ts";

/** An answer with one event, which then ends. */
function streamOf(id: number): Response {
  return new Response(`: cless\n\nid: ${id}\nevent: service.deleted\ndata: {}\n\n`);
}

/** A subscriber on a clock of its own, with what it tells the user. */
function subscribe(api: FakeApi) {
  const told: string[] = [];
  const clock = new FakeClock();
  const aborter = new AbortController();
  const client = new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
  const tell = (text: string) => void told.push(text);
  const events = newEvents(client, { service: "web" }, "1", { signal: aborter.signal, clock, tell });
  const next = () => clock.until(events.next());
  return { aborter, client, clock, events, next, told };
}

apiTest("new events go on after the last one when the connection is lost, until the API refuses", {}, async (api) => {
  const answers = [
    streamOf(7),
    problem(503, "cless is shutting down"),
    new Response("<html>", { status: 502 }),
    streamOf(8),
    problem(403, "no"),
  ];
  api.answers["GET /v1/events"] = () => answers.shift()!;
  const { client, clock, next, told } = subscribe(api);
  using _ = client;
  assertEquals((await next()).value, { id: "7", type: "service.deleted", data: {} });
  assertEquals((await next()).value, { id: "8", type: "service.deleted", data: {} });
  assertEquals(told, ["the connection is lost; trying again", "connected again"]);
  await assertRejects(next, ApiError, "no");
  assertEquals(api.asked.map(({ line }) => line.replace(/^.*after=/, "")), ["1", "7", "7", "7", "8"]);
  assertEquals(clock.timers, 0);
});

apiTest("a connection over which nothing comes, not even a comment, is made again", {}, async (api) => {
  const asked = Promise.withResolvers<void>();
  api.answers["GET /v1/events"] = () => {
    asked.resolve();
    return api.asked.length === 1 ? new Response(new ReadableStream()) : streamOf(7);
  };
  const { client, clock, events } = subscribe(api);
  using _ = client;
  const next = events.next();
  await asked.promise;
  await clock.advance(45_000);
  assertEquals((await clock.until(next)).value, { id: "7", type: "service.deleted", data: {} });
  await events.return();
  assertEquals(clock.timers, 0);
});

apiTest("new events end with their signal, also while they wait to connect again", {}, async (api) => {
  api.answers["GET /v1/events"] = () => streamOf(7);
  const { aborter, client, clock, events, next } = subscribe(api);
  using _ = client;
  await next();
  const last = events.next(); // the stream has ended
  aborter.abort();
  assertEquals(await last, { done: true, value: undefined });
  assertEquals([api.asked.length, clock.timers], [1, 0]);
});
