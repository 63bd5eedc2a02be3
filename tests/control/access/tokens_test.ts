import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { Conflict } from "../../../src/control/deploy_error.ts";
import type { Scope, TokenRecord } from "../../../src/control/records.ts";
import { InvalidError } from "../../../src/control/schema/invalid.ts";
import { type Store, StoreUnavailable } from "../../../src/control/store.ts";
import { allows, CONFIG_NAME, OWNER_NAME, Tokens } from "../../../src/control/access/tokens.ts";
import { SqliteStore } from "../../../src/sqlite/store.ts";
import { noRead, noWrite } from "../../support/permissions.ts";
import { until } from "../../support/until.ts";

const OWNER = "0123456789abcdef".repeat(4);
const EVERYTHING = { name: OWNER_NAME, scope: "admin" } as const;

/** A store of tokens in memory that can be made to fail. */
class FakeStore {
  readonly records = new Map<string, TokenRecord>();
  broken = false;
  /** Whoever has made a change learns of it only once this resolves. */
  after: Promise<void> | undefined;

  async addToken(token: TokenRecord): Promise<boolean> {
    if (this.broken) throw new StoreUnavailable("broken");
    const isNew = !this.records.has(token.name);
    if (isNew) this.records.set(token.name, token);
    await this.after;
    return isNew;
  }

  tokens(): TokenRecord[] {
    return [...this.records.values()];
  }

  async deleteToken(name: string): Promise<boolean> {
    if (this.broken) throw new StoreUnavailable("broken");
    const isThere = this.records.delete(name);
    await this.after;
    return isThere;
  }
}

/** Tokens in a store in memory, with a settable time. */
function setUp() {
  const [store, time] = [new FakeStore(), { now: 1000 }];
  const open = () => new Tokens(store as Partial<Store> as Store, OWNER, () => time.now);
  return { store, time, open, tokens: open() };
}

Deno.test("the owner's token may do everything", async () => {
  const { tokens } = setUp();
  assertEquals(await tokens.check(OWNER), EVERYTHING);
  assertEquals(tokens.list(), []);
  assert(!await tokens.revoke(OWNER_NAME));
  assertEquals(await tokens.check(OWNER), EVERYTHING);
});

Deno.test("a replaced token of the owner is not accepted any more", async () => {
  const tokens = setUp().open();
  const other = "fedcba9876543210".repeat(4);
  assertEquals(await tokens.check(other), undefined);
  const replaced = tokens.setOwner(other);
  assertEquals([await tokens.check(OWNER), await tokens.check(other)], [undefined, EVERYTHING]);
  await replaced;
});

Deno.test("a token is recognized by its text, which is not stored", async () => {
  const { tokens, store } = setUp();
  const text = await tokens.issue("ci", "deploy");
  assertMatch(text, /^cless_[A-Za-z0-9_-]{43}$/);
  assertEquals(await tokens.check(text), { name: "ci", scope: "deploy" });
  const other = await tokens.issue("status", "read");
  assertNotEquals(text, other);
  assertEquals(await tokens.check(other), { name: "status", scope: "read" });
  assertEquals(await tokens.check(text), { name: "ci", scope: "deploy" });
  const { hash, ...rest } = store.records.get("ci")!;
  assertEquals(hash, new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
  assertEquals(rest, { name: "ci", scope: "deploy", expiresAt: undefined, createdAt: 1000 });
});

Deno.test("a text that is almost a token is refused", async () => {
  const { tokens } = setUp();
  const text = await tokens.issue("ci", "admin");
  const near = [
    text.slice(0, -1),
    text + "A",
    text.slice(6),
    text.toUpperCase(),
    ` ${text}`,
    `${text}\n`,
    OWNER + OWNER,
  ];
  for (const wrong of ["", "cless_", "ci", OWNER_NAME, OWNER.slice(1), ...near]) {
    assertEquals(await tokens.check(wrong), undefined, wrong);
  }
});

Deno.test("tokens are listed by name, without their hashes", async () => {
  const { tokens } = setUp();
  await tokens.issue("b", "read", 2000);
  await tokens.issue("a", "admin");
  assertEquals(tokens.list(), [
    { name: "a", scope: "admin", expiresAt: undefined, createdAt: 1000 },
    { name: "b", scope: "read", expiresAt: 2000, createdAt: 1000 },
  ]);
});

Deno.test("an expired token is refused", async () => {
  const { tokens, time } = setUp();
  const text = await tokens.issue("ci", "read", 2000);
  time.now = 1999;
  assertEquals(await tokens.check(text), { name: "ci", scope: "read" });
  time.now = 2000;
  assertEquals(await tokens.check(text), undefined);
  assertEquals(tokens.list().length, 1);
});

Deno.test("a revoked token is refused at once", async () => {
  const { tokens, store } = setUp();
  const [text, other] = [await tokens.issue("ci", "deploy"), await tokens.issue("other", "read")];
  assert(await tokens.revoke("ci"));
  assertEquals(await tokens.check(text), undefined);
  assertEquals(await tokens.check(other), { name: "other", scope: "read" });
  assertEquals([...store.records.keys()], ["other"]);
  assert(!await tokens.revoke("ci"));
});

Deno.test("of two simultaneous requests for a token of one name one succeeds, and the name is taken until it is revoked", async () => {
  const { tokens, store } = setUp();
  const issues = await Promise.allSettled([tokens.issue("ci", "deploy"), tokens.issue("ci", "deploy")]);
  const [made] = issues.flatMap((issue) => issue.status === "fulfilled" ? [issue.value] : []);
  const refused = issues.flatMap((issue) => issue.status === "rejected" ? [issue.reason] : []);
  assert(refused.length === 1 && refused[0] instanceof Conflict);
  assertEquals(refused[0].message, "there is a token ci already; revoke it first");
  assertEquals(await tokens.check(made!), { name: "ci", scope: "deploy" });
  assertEquals([...store.records.keys()], ["ci"]);
  await tokens.revoke("ci");
  assertEquals(await tokens.check(await tokens.issue("ci", "read")), { name: "ci", scope: "read" });
});

Deno.test("a token that is revoked while it is being stored is not valid, and one that is made anew meanwhile is", async () => {
  const { store, tokens } = setUp();
  const slow = Promise.withResolvers<void>();
  store.after = slow.promise;
  const made = tokens.issue("ci", "deploy");
  await until(() => store.records.has("ci"));
  const [revoked, again] = [tokens.revoke("ci"), tokens.issue("ci", "read")];
  slow.resolve();
  assertEquals([await tokens.check(await made), await revoked], [undefined, true]);
  assertEquals(await tokens.check(await again), { name: "ci", scope: "read" });
  assertEquals(store.records.get("ci")?.scope, "read");
});

Deno.test("a token that could not be stored is not valid, and one that could not be deleted still is", async () => {
  const { tokens, store } = setUp();
  const text = await tokens.issue("ci", "deploy");
  store.broken = true;
  await assertRejects(() => tokens.issue("other", "read"), StoreUnavailable);
  await assertRejects(() => tokens.revoke("ci"), StoreUnavailable);
  assertEquals(await tokens.check(text), { name: "ci", scope: "deploy" });
  assertEquals(await tokens.check(OWNER), EVERYTHING);
  assertEquals(tokens.list().map(({ name }) => name), ["ci"]);
});

Deno.test("invalid names, scopes and times are refused", async () => {
  const { tokens, store } = setUp();
  for (const name of ["", "-a", "a b", "a\n", "é", "a".repeat(129), OWNER_NAME, CONFIG_NAME]) {
    await assertRejects(() => tokens.issue(name, "read"), InvalidError, "name: ");
  }
  await assertRejects(
    () => tokens.issue("a", "all" as Scope),
    InvalidError,
    "scope: must be one of read, deploy, admin",
  );
  for (const time of [1000, 0, -1, NaN, Infinity, 1000.5]) {
    await assertRejects(() => tokens.issue("a", "read", time), InvalidError, "expiresAt: must be a time in the future");
  }
  assertEquals(store.records.size, 0);
  assertEquals(await tokens.check(OWNER), EVERYTHING);
});

Deno.test({
  name: "tokens outlive the process",
  ignore: noRead || noWrite,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "tokens-" });
    try {
      let text: string;
      {
        using store = SqliteStore.open(folder);
        text = await new Tokens(store, OWNER).issue("ci", "deploy", Date.now() + 60_000);
      }
      using store = SqliteStore.open(folder);
      assertEquals(await new Tokens(store, OWNER).check(text), { name: "ci", scope: "deploy" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("a scope allows what those below it allow", () => {
  const scopes: Scope[] = ["read", "deploy", "admin"];
  assertEquals(scopes.map((scope) => scopes.filter((needed) => allows(scope, needed))), [
    ["read"],
    ["read", "deploy"],
    ["read", "deploy", "admin"],
  ]);
});
