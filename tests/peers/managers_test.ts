import { assertEquals, assertRejects } from "@std/assert";
import type { Endpoint } from "../../src/model/host.ts";
import { Managers } from "../../src/peers/managers.ts";
import type { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway, PeerRefused } from "../../src/peers/peer_error.ts";

const GET = { method: "GET", path: "/nodes", kinds: {} };
const POST = { method: "POST", path: "/services/create", kinds: {} };

/** Three managers, each with the error that it answers with; those without one answer with their names. */
function three(errors: Record<string, Error>) {
  const asked: string[] = [];
  const answer = (manager: Endpoint) => {
    asked.push(manager.hostname);
    const error = errors[manager.hostname];
    return error === undefined ? Promise.resolve(manager.hostname) : Promise.reject(error);
  };
  const client = { askAt: answer, openAt: answer } as unknown as Pick<PeerClient, "askAt" | "openAt">;
  const managers = new Managers(["a", "b", "c"].map((hostname) => ({ hostname, port: 1324 })), client);
  return { asked, errors, managers };
}

const unsent = (who: string) => new PeerAway(`${who} cannot be reached`, { isUnsent: true });

Deno.test("a manager that does not answer is passed over, and the one that did is asked first from then on", async () => {
  const { asked, errors, managers } = three({ a: unsent("a") });
  assertEquals(await managers.ask(GET, {}), "b");
  assertEquals(await managers.ask(POST, {}), "b");
  assertEquals(asked, ["a", "b", "b"]);
  errors.b = unsent("b");
  assertEquals(await managers.ask(POST, {}), "c");
  delete errors.a;
  errors.c = new PeerAway("c does not answer");
  assertEquals(String(await managers.open({ path: "/events", kinds: {} })), "a");
});

Deno.test("a change that may have arrived is not sent to another manager, but a question is", async () => {
  const { asked, managers } = three({ a: new PeerAway("it broke off") });
  await assertRejects(() => managers.ask(POST, {}), PeerAway, "it broke off");
  assertEquals(asked, ["a"]);
  assertEquals(await managers.ask(GET, {}), "b");
});

Deno.test("a refusal is an answer, and if nobody answers all reasons are told", async () => {
  const refusing = three({ a: new PeerRefused("update out of sequence", "stale") });
  await assertRejects(() => refusing.managers.ask(GET, {}), PeerRefused, "update out of sequence");
  assertEquals(refusing.asked, ["a"]);
  const { managers } = three({ a: unsent("a"), b: unsent("b"), c: unsent("c") });
  const reasons = "a cannot be reached; b cannot be reached; c cannot be reached";
  await assertRejects(() => managers.ask(POST, {}), PeerAway, reasons);
});
