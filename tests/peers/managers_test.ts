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
  const left: string[] = [];
  const client = {
    ...{ askAt: answer, openAt: answer },
    endStreams: ({ hostname }: Endpoint) => void left.push(hostname),
  } as unknown as Pick<PeerClient, "askAt" | "openAt" | "endStreams">;
  const managers = new Managers(["a", "b", "c"].map((hostname) => ({ hostname, port: 1324 })), client);
  return { asked, errors, left, managers };
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

Deno.test("as long as none has answered yet, all are asked twice, since this machine may have joined just now", async () => {
  const { asked, errors, managers } = three({ a: unsent("a"), b: unsent("b"), c: unsent("c") });
  const reasons = "a cannot be reached; b cannot be reached; c cannot be reached";
  assertEquals((await assertRejects(() => managers.ask(GET, {}), PeerAway)).message, reasons);
  assertEquals(asked.splice(0).join(""), "abcabc");
  const admitted = managers.ask(GET, {});
  delete errors.a; // while b is asked
  assertEquals(await admitted, "a");
  assertEquals(asked.splice(0).join(""), "abca");
  errors.a = unsent("a");
  assertEquals((await assertRejects(() => managers.ask(GET, {}), PeerAway)).message, reasons);
  assertEquals(asked.splice(0).join(""), "abc");
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

Deno.test("a manager without the majority is passed over for questions, and a change is not sent again", async () => {
  const { asked, managers } = three({ a: new PeerRefused("the swarm does not have a leader", "away") });
  await assertRejects(() => managers.ask(POST, {}), PeerRefused, "does not have a leader");
  assertEquals(asked, ["a"]);
  assertEquals(await managers.ask(GET, {}), "b");
  assertEquals(await managers.ask(POST, {}), "b");
});

Deno.test("the streams of a manager that is passed over are ended, once another one has answered", async () => {
  const { errors, left, managers } = three({});
  assertEquals(await managers.ask(GET, {}), "a");
  errors.a = new PeerAway("a does not answer in time");
  errors.b = errors.c = new PeerRefused("the swarm does not have a leader", "away");
  await assertRejects(() => managers.ask(GET, {}), PeerAway, "a does not answer in time; the swarm does not");
  assertEquals(left, []);
  delete errors.c;
  assertEquals(await managers.ask(GET, {}), "c");
  assertEquals(left, ["a", "b"]);
});
