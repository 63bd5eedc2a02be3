import { assertEquals } from "@std/assert";
import { shownTarget } from "../../../src/cli/apply/shown_target.ts";
import { Client } from "../../../src/cli/client.ts";
import type { ApplyTarget } from "../../../src/control/manifest/apply.ts";
import { parseService } from "../../../src/control/schema/schema.ts";
import { until } from "../../support/until.ts";
import { type Answer, apiTest } from "../fake_api.ts";

const EVENTS: Answer = () => {
  const events = [
    ["revision.pulling", { image: "web:v3", done: 2, total: 7 }],
    ["revision.starting", { revision: "web-00003" }],
  ];
  const text = events.map(([type, data]) => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`).join("");
  const body = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode(text)) });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
};

apiTest("what apply waits for is shown while it lasts, and does not stay", {
  "GET /v1/events?service=web": EVENTS,
}, async (api) => {
  const shown: string[] = [];
  const screen = {
    line: (text: string) => void shown.push(`stays: ${text}`),
    live: (text: string) => void shown.push(text),
    clear: () => void shown.push(""),
  };
  const slow: ApplyTarget = {
    list: () => Promise.resolve([]),
    preview: () => Promise.reject(new Error("not asked for")),
    deploy: async () => {
      await until(() => shown.includes("web: starting web-00003"));
      return { change: "update" };
    },
    remove: () => Promise.resolve(),
  };
  using client = new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
  const target = shownTarget(slow, client, screen);
  assertEquals(await target.deploy("web", parseService("web", { image: "web:v3" }), undefined), { change: "update" });
  const lines = ["web: deploying…", "web: pulling web:v3", "web: 2 of 7 layers", "web: starting web-00003"];
  assertEquals([...new Set(shown)].filter((text) => text !== "").sort(), lines.sort());
  assertEquals(shown.at(-1), "");
  await target.remove("web");
  assertEquals(shown.slice(-2), ["web: waiting until its containers are gone…", ""]);
});
