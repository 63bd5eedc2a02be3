import { assertEquals } from "@std/assert";
import { good, newAdmin, problemOf } from "../kit.ts";

Deno.test("the wakes are listed with who made each instance wake, also for tokens that may only read", async () => {
  const { ask, asked, tokens, woken } = await newAdmin();
  const wake = { service: "web", revision: "web-00001", instance: "cless-web-1", at: 1_700_000_000_000 };
  const by = { kind: "request", method: "GET", path: "/", userAgent: "Googlebot/2.1", robot: true } as const;
  woken.push({ ...wake, how: "cold", ms: 312.5, by });
  assertEquals(await good(ask("GET", "/v1/wakes", { token: tokens.read })), [
    { ...wake, at: "2023-11-14T22:13:20.000Z", how: "cold", ms: 312.5, by },
  ]);
  await good(ask("GET", "/v1/wakes?service=web&minutes=60&limit=5"));
  assertEquals(asked, ["wake log of all in 1440, at most 100", "wake log of web in 60, at most 5"]);
  for (const query of ["minutes=0", "minutes=1441", "limit=0", "limit=1001", "from=web"]) {
    await problemOf(await ask("GET", `/v1/wakes?${query}`), 400, "invalid");
  }
});

Deno.test("who wakes a service by its name is noted with the token's name", async () => {
  const { ask, asked, tokens } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  await good(ask("POST", "/v1/services/web/wake", { token: tokens.deploy }), 204);
  assertEquals(asked, ["wake web for ci"]);
});
