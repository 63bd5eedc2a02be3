import { assertEquals, assertRejects } from "@std/assert";
import { ApiError, Client } from "../../../src/cli/client.ts";
import { followLog, poll } from "../../../src/cli/top/feed.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { apiTest, type FakeApi, problem } from "../fake_api.ts";
import { newActivity } from "./activities.ts";

const ACTIVITY = "GET /v1/activity?minutes=10";
const LOGS = "GET /v1/services/web/logs?follow=true&tail=200";

function newClient(api: FakeApi): Client {
  return new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
}

/** Somebody who looks, and notes what is told. */
function newAudience(opened?: string) {
  const told: unknown[] = [];
  return {
    told,
    opened,
    answered: (services: readonly { service: string }[], instances: readonly { id: string }[]) =>
      void told.push([...services.map(({ service }) => service), ...instances.map(({ id }) => id)].join(" ")),
    lost: (reason: string) => void told.push(new Error(reason).message),
  };
}

apiTest(
  "what services do is asked for again and again, also after a lost connection, until the API refuses",
  {},
  async (api) => {
    const answers = [
      Response.json([newActivity("web")]),
      problem(503, "cless is shutting down"),
      new Response("<html>", { status: 502 }),
      Response.json([newActivity("web"), newActivity("zoo")]),
      problem(401, "The token is revoked"),
    ];
    api.answers[ACTIVITY] = () => answers.shift()!;
    using client = newClient(api);
    const [audience, clock] = [newAudience(), new FakeClock()];
    await assertRejects(
      () => clock.until(poll(client, audience, new AbortController().signal, clock)),
      ApiError,
      "The token is revoked",
    );
    assertEquals(audience.told, [
      "web",
      "cless is shutting down",
      `the server at ${api.url} is not an admin API of cless (status 502); name it with --server`,
      "web zoo",
    ]);
    assertEquals(clock.timers, 0);
  },
);

apiTest("the instances of the opened service are asked for, and of no other one", {
  [ACTIVITY]: [newActivity("web")],
  "GET /v1/instances?service=web": [{ id: "web-1" }],
}, async (api) => {
  using client = newClient(api);
  const aborter = new AbortController();
  const audience = newAudience("web");
  const answered = audience.answered;
  audience.answered = (services, instances) => {
    answered(services, instances);
    aborter.abort();
  };
  await poll(client, audience, aborter.signal, new FakeClock());
  assertEquals(audience.told, ["web web-1"]);
});

apiTest("nothing that answers is a lost connection, with the reason", {}, async (api) => {
  const client = newClient(api);
  await api[Symbol.asyncDispose]();
  using _ = client;
  const aborter = new AbortController();
  const audience = { ...newAudience(), lost: (reason: string) => (audience.told.push(reason), aborter.abort()) };
  await poll(client, audience, aborter.signal, new FakeClock());
  assertEquals(audience.told, ["connection refused"]);
});

apiTest("an answer that does not come is a lost connection", {}, async (api) => {
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<Response>();
  api.answers[ACTIVITY] = () => {
    asked.resolve();
    return late.promise;
  };
  using client = newClient(api);
  const [aborter, clock] = [new AbortController(), new FakeClock()];
  const lost = Promise.withResolvers<string>();
  const polling = poll(client, { ...newAudience(), lost: lost.resolve }, aborter.signal, clock);
  await asked.promise;
  await clock.advance(10_000);
  assertEquals(await lost.promise, "no answer for 10 s");
  aborter.abort();
  await polling;
  late.resolve(Response.json([]));
});

apiTest("a log begins again after a lost connection, until nobody reads it", {}, async (api) => {
  const line = (text: string) => JSON.stringify({ instance: "web-1", text }) + "\n";
  const answers = [
    new Response(line("one") + "\n<html>\n" + line("two")),
    problem(404, "there is no service web"),
    new Response(line("three")),
  ];
  api.answers[LOGS] = () => answers.shift()!;
  using client = newClient(api);
  const [aborter, clock] = [new AbortController(), new FakeClock()];
  const told: string[] = [];
  const reader = {
    begun: () => void told.push("begun"),
    line: ({ text }: { text: string }) => {
      told.push(text);
      if (text === "three") aborter.abort();
    },
    missing: (reason: string) => void told.push(reason),
  };
  await clock.until(followLog(client, "web", reader, aborter.signal, clock));
  assertEquals(told, ["begun", "one", "two", "there is no service web", "begun", "three"]);
  assertEquals(api.asked[0]!.headers.get("accept"), "application/x-ndjson");
  assertEquals(clock.timers, 0);
});
