import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidError } from "../../../src/control/schema/invalid.ts";
import { UnknownSecretError } from "../../../src/control/secrets/secrets.ts";
import { StaleError, type Store } from "../../../src/control/store.ts";
import { allOf, storeTest, valueOf, withKey } from "./secrets_kit.ts";
import { text } from "../schema/templates.ts";

storeTest("a value of any text reads the same after it was set", async (store) => {
  const secrets = await withKey(store);
  await fc.assert(
    fc.asyncProperty(fc.oneof(text, fc.constantFrom("-----BEGIN\nEND-----\n", "\ufeffa")), async (value) => {
      if (!value.isWellFormed()) return;
      await secrets.set("a", value);
      assertEquals(await valueOf(secrets, "a"), value);
      await secrets.set("a", new TextEncoder().encode(value));
      assertEquals(await valueOf(secrets, "a"), value);
    }),
    { numRuns: 20 },
  );
});

storeTest("a revision keeps the versions that it was made with", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "first");
  await secrets.set("b", "other");
  const versions = secrets.currentVersions(["b", "a", "a"]);
  assertEquals(versions, { a: 1, b: 1 });
  assertEquals(await secrets.set("a", "second"), { name: "a", version: 2, createdAt: 1000 });
  const secretEnv = { ONE: "a", TWO: "b", THREE: "a" };
  assertEquals(await secrets.resolve(secretEnv, versions), { ONE: "first", TWO: "other", THREE: "first" });
  assertEquals(await secrets.resolve(secretEnv, { ...versions, a: 2 }), {
    ONE: "second",
    TWO: "other",
    THREE: "second",
  });
  assertEquals(await secrets.resolve({}, {}), {});
});

storeTest("the list has names, versions and times, and no values", async (store) => {
  const secrets = await withKey(store);
  assertEquals(secrets.list(), []);
  await secrets.set("b", "1");
  await secrets.set("a", "2");
  await secrets.set("a", "3");
  assertEquals(secrets.list(), [
    { name: "a", version: 2, createdAt: 1000 },
    { name: "b", version: 1, createdAt: 1000 },
  ]);
});

storeTest("a deleted secret is gone with all versions, and a new one goes on counting", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "first");
  await secrets.set("a", "second");
  const versions = secrets.currentVersions(["a"]);
  assert(await secrets.delete("a"));
  assert(!await secrets.delete("a"));
  assertEquals(secrets.list(), []);
  await assertRejects(
    () => secrets.resolve({ A: "a" }, versions),
    UnknownSecretError,
    "version 2 of the secret a is gone",
  );
  const { version } = await secrets.set("a", "third");
  assert(version > 2);
  assertEquals(await valueOf(secrets, "a"), "third");
  assertEquals(store.secret("a", version - 1), undefined);
  await secrets.set("a", "fourth");
  assertEquals(await valueOf(secrets, "a"), "fourth");
  assertEquals(await secrets.resolve({ A: "a" }, { a: version }), { A: "third" });
});

storeTest("a value is stored once, as the version that it was sealed for, even after a delete", async (store) => {
  const kept: [name: string, version: number][] = [];
  const secrets = await withKey({
    secretVersions: () => store.secretVersions(),
    nextSecretVersion: (name) => store.nextSecretVersion(name),
    secret: (name, version) => store.secret(name, version),
    deleteSecret: (name) => store.deleteSecret(name),
    async addSecret(secret) {
      await store.addSecret(secret);
      kept.push([secret.name, secret.version]);
    },
  } as Store);
  await secrets.set("a", "first");
  await secrets.delete("a");
  await secrets.set("a", "second");
  assertEquals(kept, [["a", 1], ["a", 2]]);
  assertEquals(await valueOf(secrets, "a"), "second");
});

storeTest("a revision without secrets does not need the store", async (store) => {
  let asked = 0;
  const secrets = await withKey({ secretVersions: () => (asked++, store.secretVersions()) } as Store);
  asked = 0;
  assertEquals([secrets.currentVersions([]), asked], [{}, 0]);
});

storeTest("values that are set at the same time each get their own version", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "x");
  await secrets.delete("a");
  const values = ["1", "2", "3", "4"];
  const made = await Promise.all(values.map((value) => secrets.set("a", value)));
  for (const [at, { version }] of made.entries()) {
    assertEquals(await secrets.resolve({ A: "a" }, { a: version }), { A: values[at]! });
  }
  assertEquals(secrets.list().map(({ version }) => version), [made.at(-1)!.version]);
});

storeTest("a value is sealed again if another process takes the version that it was sealed for", async (store) => {
  const other = await withKey(store);
  let isTaken = false;
  const secrets = await withKey({
    secretVersions: () => store.secretVersions(),
    nextSecretVersion: (name) => store.nextSecretVersion(name),
    secret: (name, version) => store.secret(name, version),
    async addSecret(secret) {
      if (!isTaken) await other.set("a", "theirs");
      isTaken = true;
      await store.addSecret(secret);
    },
  } as Store);
  assertEquals((await secrets.set("a", "ours")).version, 2);
  const valueAt = async (version: number) => (await secrets.resolve({ A: "a" }, { a: version }))["A"];
  assertEquals([await valueAt(1), await valueAt(2)], ["theirs", "ours"]);
});

storeTest("a change ends with an error if other processes take every version", async (store) => {
  const secrets = await withKey({
    secretVersions: () => store.secretVersions(),
    nextSecretVersion: (name) => store.nextSecretVersion(name),
    addSecret: () => Promise.reject(new StaleError("taken")),
  } as Partial<Store> as Store);
  await assertRejects(() => secrets.set("a", "x"), StaleError);
});

storeTest("a failed change does not stop the next one", async (store) => {
  let broken = true;
  const secrets = await withKey({
    secretVersions: () => store.secretVersions(),
    nextSecretVersion: (name) => store.nextSecretVersion(name),
    secret: (name, version) => store.secret(name, version),
    addSecret(secret) {
      return broken ? Promise.reject(new Error("broken")) : store.addSecret(secret);
    },
  } as Store);
  await assertRejects(() => secrets.set("a", "x"), Error, "broken");
  broken = false;
  await secrets.set("a", "y");
  assertEquals(await valueOf(secrets, "a"), "y");
});

storeTest("the error names the first missing secret", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "x");
  for (const name of ["b", "__proto__", "constructor"]) {
    const error = assertThrows(() => secrets.currentVersions(["a", name, "c"]), UnknownSecretError);
    assertEquals(error.message, `there is no secret ${name}; set it first`);
    const late = await assertRejects(() => secrets.resolve({ A: "a", B: name, C: "c" }, { a: 1 }), UnknownSecretError);
    assertEquals(late.message, `there is no secret ${name}; set it first`);
  }
  await assertRejects(() => secrets.resolve({ A: "a" }, { a: 7 }), UnknownSecretError, "version 7 of the secret a");
});

storeTest("invalid names and values are refused and not shown", async (store) => {
  const secrets = await withKey(store);
  const refused = async (name: string, value: Uint8Array | string, message: string) => {
    const error = await assertRejects(() => secrets.set(name, value), InvalidError, message);
    assert(!allOf(error).includes("hidden"), allOf(error));
  };
  for (const name of ["", "-a", "a b", "a\n", "a/b", "é", "a".repeat(129)]) await refused(name, "hidden", "name: ");
  await refused("a", "hidden\0", "value: must not have a zero byte");
  await refused("a", "hidden\ud800", "value: must be text");
  await refused("a", Uint8Array.of(0xff), "value: must be text in UTF-8");
  await refused("a", "x".repeat(65_537), "value: must be at most 64 KiB");
  await refused("a", "é".repeat(32_769), "value: must be at most 64 KiB");
  assertEquals(secrets.list(), []);
  await secrets.set("a", "é".repeat(32_768));
  await secrets.set("A.b_c-9", "");
  assertEquals(await valueOf(secrets, "A.b_c-9"), "");
});

storeTest("the newest value of a secret is read by its name", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "first");
  await secrets.set("a", "second");
  assertEquals(await secrets.value("a"), "second");
  await assertRejects(() => secrets.value("b"), UnknownSecretError, "there is no secret b");
  await secrets.delete("a");
  await assertRejects(() => secrets.value("a"), UnknownSecretError);
});
