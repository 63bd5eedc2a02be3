import { assertEquals } from "@std/assert";
import { ClessError } from "../../../src/base/errors.ts";
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

Deno.test("a service without deploys has an empty list, and an unknown name is not found", async () => {
  const { ask, found } = await withBadImage();
  found.push(foundService("blog"));
  assertEquals(await good(ask("GET", "/v1/services/blog/deploys")), []);
  assertEquals(
    await problemOf(await ask("GET", "/v1/services/nosuch/deploys"), 404, "not_found"),
    "There is no service nosuch",
  );
  await problemOf(await ask("GET", "/v1/services/blog/deploys?limit=0"), 400, "invalid");
});
