import { assertEquals } from "@std/assert";
import type { WaitingNow } from "../../../src/control/service_waits.ts";
import { ClessError } from "../../../src/base/errors.ts";
import { until } from "../../support/until.ts";
import { foundService, good, newAdmin, problemOf } from "../kit.ts";

/** An API on which every start of the image `bad` fails. */
function withBadImage() {
  const tryStart = ({ revision }: { readonly revision: { readonly image: string } }) =>
    revision.image.startsWith("bad")
      ? Promise.reject(new ClessError("start_failed", "public", { detail: "it ended with code 1", output: "panic\n" }))
      : Promise.resolve();
  return newAdmin({ scene: { tryStart } });
}

Deno.test("a service that never worked has its deploys, with reason and output, also for tokens that may only read", async () => {
  const { ask, tokens } = await withBadImage();
  const put = { body: { image: "bad:1" }, token: tokens.deploy };
  await problemOf(await ask("PUT", "/v1/services/web", put), 422, "revision_failed");
  for (const token of [tokens.read, tokens.deploy]) {
    const [deploy, ...more] = await good(ask("GET", "/v1/services/web/deploys", { token }));
    assertEquals(more, []);
    const { startedAt, durationMs, ...rest } = deploy;
    assertEquals(rest, {
      service: "web",
      revision: "web-00001",
      image: "bad:1",
      by: "ci",
      outcome: "failed",
      reason: "it ended with code 1",
      output: ["panic"],
    });
    assertEquals([new Date(startedAt).toISOString(), Number.isInteger(durationMs)], [startedAt, true]);
  }
  await problemOf(await ask("GET", "/v1/services/web"), 404, "not_found");
});

Deno.test("deploys come newest first, at most as many as are asked for", async () => {
  const { ask } = await withBadImage();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  await problemOf(await ask("PUT", "/v1/services/web", { body: { image: "bad:2" } }), 422, "revision_failed");
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:3" } }));
  const outcomes = async (query = "") =>
    (await good(ask("GET", `/v1/services/web/deploys${query}`))).map(
      ({ outcome, revision }: { outcome: string; revision: string }) => `${revision} ${outcome}`,
    );
  assertEquals(await outcomes(), ["web-00003 deployed", "web-00002 failed", "web-00001 deployed"]);
  assertEquals(await outcomes("?limit=1"), ["web-00003 deployed"]);
});

Deno.test("the deploys of all services come newest first, also those of services that never worked", async () => {
  const { ask, tokens } = await withBadImage();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  await problemOf(await ask("PUT", "/v1/services/shop", { body: { image: "bad:1" } }), 422, "revision_failed");
  const all = await good(ask("GET", "/v1/deploys", { token: tokens.read }));
  assertEquals(
    all.map(({ outcome, service }: { outcome: string; service: string }) => [service, outcome]),
    [["shop", "failed"], ["web", "deployed"]],
  );
  assertEquals(all[0], (await good(ask("GET", "/v1/services/shop/deploys")))[0]);
  assertEquals((await good(ask("GET", "/v1/deploys?limit=1"))).length, 1);
});

Deno.test("a service without deploys has an empty list, and an unknown name is not found", async () => {
  const { ask, found } = await withBadImage();
  found.push(foundService("blog"));
  assertEquals(await good(ask("GET", "/v1/services/blog/deploys")), []);
  assertEquals(
    await problemOf(await ask("GET", "/v1/services/nosuch/deploys"), 404, "not_found"),
    "there is no service nosuch",
  );
  await problemOf(await ask("GET", "/v1/services/blog/deploys?limit=0"), 400, "invalid");
});

Deno.test("a deploy that is running is listed first, with what it waits for, also if it is the first of its service", async () => {
  const waiting: WaitingNow = {
    ...{ for: "answer", text: "nothing listens on port 8080 yet", since: 1_000_000 },
    ...{ revision: "web-00001", instance: "web-a1b2", probed: "refused", output: "migrating" },
  };
  const waits = { of: (service: string) => service === "web" ? waiting : undefined };
  const started = Promise.withResolvers<void>();
  const { ask } = await newAdmin({ waits, scene: { tryStart: () => started.promise } });
  const deployed = ask("PUT", "/v1/services/web", { body: { image: "web:1" } });
  await until(async () => (await ask("GET", "/v1/services/web/deploys")).status === 200);
  await problemOf(await ask("GET", "/v1/services/web"), 404, "not_found");
  const [deploy, ...more] = await good(ask("GET", "/v1/services/web/deploys"));
  const { durationMs, startedAt, ...rest } = deploy;
  assertEquals(rest, {
    ...{ service: "web", revision: "web-00001", image: "web:1", by: "admin", outcome: "running", output: [] },
    waiting: { ...waiting, since: "1970-01-01T00:16:40.000Z" },
  });
  assertEquals((await good(ask("GET", "/v1/deploys")))[0].outcome, "running", "also among those of all services");
  assertEquals([more, Number.isInteger(durationMs), new Date(startedAt).toISOString()], [[], true, startedAt]);
  assertEquals((await ask("GET", "/v1/services/web/logs")).status, 200);
  started.resolve();
  await good(deployed, 201);
  const [after, ...others] = await good(ask("GET", "/v1/services/web/deploys"));
  assertEquals([after.outcome, others], ["deployed", []]);
});

Deno.test("a service tells what it waits for while it is deploying or starting, and not else", async () => {
  const waits = { of: () => ({ for: "container", text: "making the container of web-00001", since: 0 } as const) };
  const { ask, statuses } = await newAdmin({ waits });
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  const waiting = async () => (await good(ask("GET", "/v1/services/web"))).waiting?.text;
  assertEquals(await waiting(), undefined);
  statuses.set("web", { state: "starting" });
  assertEquals(await waiting(), "making the container of web-00001");
  statuses.set("web", { state: "deploying" });
  assertEquals(await waiting(), "making the container of web-00001");
});

Deno.test("deleting a service that never worked removes its deploys, and is not found after that", async () => {
  const { ask } = await withBadImage();
  await problemOf(await ask("PUT", "/v1/services/web", { body: { image: "bad:1" } }), 422, "revision_failed");
  await good(ask("DELETE", "/v1/services/web"), 204);
  await problemOf(await ask("GET", "/v1/services/web/deploys"), 404, "not_found");
  const detail = await problemOf(await ask("DELETE", "/v1/services/web"), 404, "not_found");
  assertEquals(detail, "there is no service web");
});
