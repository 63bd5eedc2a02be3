import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Sessions } from "../../../src/control/access/sessions.ts";
import { Tokens } from "../../../src/control/access/tokens.ts";
import { StoreUnavailable } from "../../../src/control/store.ts";
import { FakeStore } from "../../support/fake_store.ts";

const OWNER = "the owner's token";
const ORIGIN = "https://admin.example.org";
const HOUR_MS = 3_600_000;

function newSessions() {
  const time = { now: 1_000_000 };
  const store = new FakeStore();
  const tokens = new Tokens(store, OWNER, () => time.now);
  /** The sessions of a process that starts now. */
  const again = () => new Sessions(store, tokens, () => time.now);
  return { again, store, time, tokens, sessions: again() };
}

Deno.test("a session has the name and scope of its token, and is found by its secret alone", async () => {
  const { sessions, tokens } = newSessions();
  const owners = await sessions.begin(OWNER, ORIGIN);
  const readers = await sessions.begin(await tokens.issue("tv", "read"), "http://localhost:1323");
  assertNotEquals(owners, readers);
  assertEquals(await sessions.find(owners), { holder: { name: "admin", scope: "admin" }, origin: ORIGIN });
  assertEquals(await sessions.find(readers), {
    holder: { name: "tv", scope: "read" },
    origin: "http://localhost:1323",
  });
  for (const wrong of ["", OWNER, owners.slice(1), `${owners}A`]) assertEquals(await sessions.find(wrong), undefined);
});

Deno.test("a session that has been ended is no longer found, and others are", async () => {
  const { sessions } = newSessions();
  const [first, second] = [await sessions.begin(OWNER, ORIGIN), await sessions.begin(OWNER, ORIGIN)];
  await sessions.end(first);
  await sessions.end("nosuch");
  assertEquals(await sessions.find(first), undefined);
  assert(await sessions.find(second));
  assertEquals(sessions.size, 1);
});

Deno.test("sessions end with their token: when it is revoked, made again, replaced, or expires", async () => {
  const { sessions, time, tokens } = newSessions();
  const owners = await sessions.begin(OWNER, ORIGIN);
  const revoked = await sessions.begin(await tokens.issue("tv", "read"), ORIGIN);
  const expiring = await sessions.begin(await tokens.issue("short", "read", time.now + HOUR_MS), ORIGIN);
  tokens.revoke("tv");
  await tokens.issue("tv", "admin");
  assertEquals(await sessions.find(revoked), undefined);
  await tokens.setOwner("another token");
  assertEquals(await sessions.find(owners), undefined);
  assert(await sessions.find(expiring));
  time.now += HOUR_MS;
  assertEquals(await sessions.find(expiring), undefined);
  assertEquals(sessions.size, 0);
});

Deno.test("a session ends 12 hours after it was used last, and 7 days after it has begun", async () => {
  const { sessions, time } = newSessions();
  const idle = await sessions.begin(OWNER, ORIGIN);
  const used = await sessions.begin(OWNER, ORIGIN);
  for (let hours = 11; hours < 7 * 24; hours += 11) {
    time.now += 11 * HOUR_MS;
    assert(await sessions.find(used), String(hours));
  }
  assertEquals(await sessions.find(idle), undefined);
  time.now += 11 * HOUR_MS;
  assertEquals(await sessions.find(used), undefined);
});

Deno.test("a token has at most 20 sessions: one more ends the one that has not been used for the longest time", async () => {
  const { sessions, time, tokens } = newSessions();
  const others = await sessions.begin(await tokens.issue("tv", "read"), ORIGIN);
  const secrets: string[] = [];
  for (let n = 0; n < 20; n++) {
    time.now++;
    secrets.push(await sessions.begin(OWNER, ORIGIN));
  }
  time.now++;
  await sessions.find(secrets[0]!);
  const newest = await sessions.begin(OWNER, ORIGIN);
  assertEquals(await sessions.find(secrets[1]!), undefined);
  for (const secret of [secrets[0]!, ...secrets.slice(2), newest, others]) assert(await sessions.find(secret));
  assertEquals(sessions.size, 21);
});

Deno.test("sessions that have ended unnoticed are forgotten when one begins", async () => {
  const { sessions, time } = newSessions();
  for (let n = 0; n < 5; n++) await sessions.begin(OWNER, ORIGIN);
  time.now += 12 * HOUR_MS;
  await sessions.begin(OWNER, ORIGIN);
  assertEquals(sessions.size, 1);
});

Deno.test("sessions outlive a restart, with their times", async () => {
  const { again, sessions, time } = newSessions();
  const [used, idle] = [await sessions.begin(OWNER, ORIGIN), await sessions.begin(OWNER, ORIGIN)];
  time.now += 11 * HOUR_MS;
  assert(await sessions.find(used));
  time.now += 2 * HOUR_MS;
  const next = again();
  assertEquals(await next.find(used), { holder: { name: "admin", scope: "admin" }, origin: ORIGIN });
  assertEquals(await next.find(idle), undefined);
});

Deno.test("what has ended is not there again after a restart", async () => {
  const { again, sessions, store, time, tokens } = newSessions();
  const out = await sessions.begin(OWNER, ORIGIN);
  const revoked = await sessions.begin(await tokens.issue("tv", "read"), ORIGIN);
  await sessions.end(out);
  tokens.revoke("tv");
  assertEquals(await sessions.find(revoked), undefined);
  assertEquals(store.sessions(), []);
  await sessions.begin(OWNER, ORIGIN);
  time.now += 12 * HOUR_MS;
  await again().begin(OWNER, ORIGIN);
  assertEquals(store.sessions().length, 1);
});

Deno.test("the store has neither the secret nor the token, and is written every ten minutes at most", async () => {
  const { sessions, store, time } = newSessions();
  let writes = 0;
  const put = store.putSession.bind(store);
  store.putSession = (session) => {
    writes++;
    put(session);
  };
  const secret = await sessions.begin(OWNER, ORIGIN);
  const text = JSON.stringify(store.sessions());
  assert(!text.includes(secret) && !text.includes(OWNER));
  for (let minute = 0; minute < 60; minute++) {
    time.now += 60_000;
    assert(await sessions.find(secret));
  }
  assertEquals(writes, 7);
});

Deno.test("without a store that can be written, sessions begin and go on, and an end that is not stored is told", async () => {
  const { sessions, store, time } = newSessions();
  store.putSession = store.deleteSession = () => {
    throw new StoreUnavailable("the disk is full");
  };
  const secret = await sessions.begin(OWNER, ORIGIN);
  time.now += HOUR_MS;
  assert(await sessions.find(secret));
  await assertRejects(() => sessions.end(secret), StoreUnavailable, "the disk is full");
  assertEquals(await sessions.find(secret), undefined);
});
