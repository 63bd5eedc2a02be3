import { assertEquals } from "@std/assert";
import { Instance } from "../../../src/pool/instance.ts";
import { newRevision } from "../../support/kit.ts";
import { good, newAdmin, OWNER, PEER } from "../kit.ts";

Deno.test("an instance is shown as it is, from its start to its use", async () => {
  const { ask, kit: { clock, fleet, launcher, newPool } } = await newAdmin();
  assertEquals(await good(ask("GET", "/v1/instances")), []);
  const pool = newPool(newRevision(undefined, "golang"));
  const instance = new Instance("cless-golang-1", pool.revision, clock);
  fleet.add(instance, pool);
  const show = async (query = "") => (await good(ask("GET", `/v1/instances${query}`)))[0];
  const start = {
    id: "cless-golang-1",
    service: "golang",
    revision: "golang-0123456789ab",
    state: "starting",
    address: "",
    inFlight: 0,
    startedAt: instance.startedAt.toISOString(),
  };
  assertEquals(await show(), start);
  instance.origin = "http://172.31.240.2:8080";
  instance.become("ready");
  instance.coldStartMs = 231;
  const lease = instance.claim();
  const ready = { ...start, state: "ready", address: "172.31.240.2:8080", inFlight: 1, coldStartMs: 231 };
  assertEquals(await show(), ready);
  lease.release();
  assertEquals(await show(), { ...ready, inFlight: 0, lastUsedAt: instance.lastUsedAt!.toISOString() });
  assertEquals([(await show("?service=golang")).id, await show("?service=go")], [instance.id, undefined]);
  launcher.used = new Map([[instance.id, { bytes: 25_165_824, swapBytes: 4096 }]]);
  assertEquals((await show()).memoryBytes, 25_165_824);
  instance.failure = "the app did not answer any more";
  instance.become("draining");
  assertEquals([(await show()).state, (await show()).failure], ["draining", "the app did not answer any more"]);
  fleet.delete(instance);
  assertEquals(await show(), undefined);
});

Deno.test("a wake is given up when its client leaves", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const wake = (_: string, signal?: AbortSignal) => Promise.resolve(void signals.push(signal));
  const { handle } = await newAdmin({ control: { wake, sleep: () => Promise.resolve() } });
  const leaving = new AbortController();
  const headers = { authorization: `Bearer ${OWNER}` };
  const url = "http://127.0.0.1:1323/v1/services/web/wake";
  const answer = await handle(new Request(url, { method: "POST", headers, signal: leaving.signal }), PEER);
  assertEquals([answer.status, signals[0]?.aborted], [204, false]);
  leaving.abort();
  assertEquals(signals[0]?.aborted, true);
});
