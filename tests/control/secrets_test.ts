import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidError } from "../../src/control/schema.ts";
import {
  SecretKeyError,
  type SecretKeySource,
  Secrets,
  UnknownSecretError,
  UnreadableSecretError,
} from "../../src/control/secrets.ts";
import type { Store } from "../../src/control/store.ts";
import { OperatorError } from "../../src/errors.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { noRead, noWrite } from "../support/permissions.ts";
import { text } from "./templates.ts";

/** A test with a store in a folder of its own. */
function storeTest(name: string, fn: (store: SqliteStore, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "secrets-" });
      try {
        using store = SqliteStore.open(folder);
        await fn(store, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** A key as text. */
function keyOf(byte: number): string {
  return new Uint8Array(32).fill(byte).toBase64();
}

/** Opens the secrets of a store with a key that is given as text. */
function withKey(store: Store, byte = 1): Promise<Secrets> {
  return Secrets.open(store, { folder: "/none", text: keyOf(byte) }, () => 1000);
}

/** The current value of a secret. */
async function valueOf(secrets: Secrets, name: string): Promise<string | undefined> {
  return (await secrets.resolve({ A: name }, secrets.currentVersions([name]))).A;
}

/** A store with one value in place of each that is asked for. */
function withSealed(store: Store, change: (sealed: Uint8Array) => Uint8Array): Store {
  return {
    secrets: () => store.secrets(),
    secret(name: string, version: number) {
      const record = store.secret(name, version)!;
      return { ...record, sealed: change(record.sealed) };
    },
  } as Store;
}

/** Everything that an error says, also of its causes. */
function allOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${error.stack} ${allOf(error.cause)}` : String(error);
}

/** What is said of a value that cannot be opened. */
async function failure<E extends OperatorError>(
  action: () => Promise<unknown>,
  type: new (message: string) => E,
): Promise<string> {
  const { message } = await assertRejects(action, type);
  assert(!message.includes("\n"), message);
  return message;
}

storeTest("a value reads the same after it was set, whatever text it is", async (store) => {
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
  assert(secrets.delete("a"));
  assert(!secrets.delete("a"));
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

storeTest("values that are set at one time all get a version of their own", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "x");
  secrets.delete("a");
  const values = ["1", "2", "3", "4"];
  const made = await Promise.all(values.map((value) => secrets.set("a", value)));
  for (const [at, { version }] of made.entries()) {
    assertEquals(await secrets.resolve({ A: "a" }, { a: version }), { A: values[at]! });
  }
  assertEquals(secrets.list().map(({ version }) => version), [made.at(-1)!.version]);
});

storeTest("a change that failed does not keep the next one from being made", async (store) => {
  let broken = true;
  const secrets = await withKey({
    secrets: () => store.secrets(),
    secret: (name, version) => store.secret(name, version),
    addSecret(name, sealed, at) {
      if (broken) throw new Error("broken");
      return store.addSecret(name, sealed, at);
    },
  } as Store);
  await assertRejects(() => secrets.set("a", "x"), Error, "broken");
  broken = false;
  await secrets.set("a", "y");
  assertEquals(await valueOf(secrets, "a"), "y");
});

storeTest("the first secret that there is not is named", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "x");
  for (const name of ["b", "__proto__", "constructor"]) {
    const error = assertThrows(() => secrets.currentVersions(["a", name, "c"]), UnknownSecretError);
    assertEquals([error.secret, error.message], [name, `there is no secret ${name}; set it first`]);
    const late = await assertRejects(() => secrets.resolve({ A: "a", B: name, C: "c" }, { a: 1 }), UnknownSecretError);
    assertEquals(late.secret, name);
  }
  await assertRejects(() => secrets.resolve({ A: "a" }, { a: 7 }), UnknownSecretError, "version 7 of the secret a");
});

storeTest("names and values that cannot be are refused, and not shown", async (store) => {
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

storeTest("no value is on disk as it is, and no two that are sealed are the same", async (store, folder) => {
  const secrets = await withKey(store);
  const [first, second] = [
    await secrets.set("a", "a-very-hidden-value"),
    await secrets.set("a", "a-very-hidden-value"),
  ];
  const sealed = [first, second].map(({ name, version }) => store.secret(name, version)!.sealed);
  assertEquals(sealed.map((bytes) => bytes[0]), [1, 1]);
  assertEquals(sealed[0]!.length, 1 + 8 + 12 + "a-very-hidden-value".length + 16);
  const nonces = sealed.map((bytes) => bytes.slice(9, 21).toHex());
  assertNotEquals(nonces[0], nonces[1]);
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const content = new TextDecoder("latin1").decode(await Deno.readFile(`${folder}/${name}`));
    assert(!content.includes("hidden"), name);
  }
});

storeTest("a sealed value opens under its own name and version only", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "hidden");
  await secrets.set("a", "hidden");
  await secrets.set("b", "x");
  const moves: [name: string, version: number, from: [name: string, version: number]][] = [
    ["b", 1, ["a", 1]],
    ["a", 2, ["a", 1]],
    ["a", 1, ["a", 2]],
  ];
  for (const [name, version, from] of moves) {
    const { sealed } = store.secret(...from)!;
    const moved = await withKey(withSealed(store, () => sealed));
    const message = await failure(() => moved.resolve({ A: name }, { [name]: version }), UnreadableSecretError);
    assertMatch(message, new RegExp(`^version ${version} of the secret ${name} is damaged; set the secret again`));
  }
});

storeTest("whatever byte of a sealed value changes, nothing comes out of it", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "hidden");
  const { length } = store.secret("a", 1)!.sealed;
  const resolve = async (change: (sealed: Uint8Array) => Uint8Array) => {
    const changed = await withKey(withSealed(store, change));
    const error = await assertRejects(() => changed.resolve({ A: "a" }, { a: 1 }), OperatorError);
    assert(!allOf(error).includes("hidden"), allOf(error));
  };
  for (let at = 0; at < length; at++) {
    await resolve((sealed) => sealed.map((byte, place) => place === at ? byte ^ 1 : byte));
    await resolve((sealed) => sealed.slice(0, at));
  }
  await resolve((sealed) => Uint8Array.of(...sealed, 0));
  const newer = await withKey(withSealed(store, (sealed) => sealed.with(0, 2)));
  assertMatch(await failure(() => newer.resolve({ A: "a" }, { a: 1 }), UnreadableSecretError), /use a newer one/);
});

storeTest("with another key, it is said which value needs another, and what to do", async (store, folder) => {
  await (await withKey(store, 1)).set("a", "hidden");
  const others: [SecretKeySource, RegExp][] = [
    [{ folder, text: keyOf(2) }, /than that of CLESS_SECRET_KEY; put the right key there and restart cless, or set/],
    [{ folder }, /than that of \S+\/secret-key; put the right key there and restart cless, or set the secret again/],
  ];
  await Deno.writeTextFile(`${folder}/secret-key`, keyOf(3));
  for (const [source, advice] of others) {
    const secrets = await Secrets.open(store, source);
    const message = await failure(() => secrets.resolve({ A: "a" }, { a: 1 }), SecretKeyError);
    assertMatch(message, /^version 1 of the secret a was sealed with another key/);
    assertMatch(message, advice);
  }
  const secrets = await withKey(store, 2);
  await secrets.set("a", "again");
  assertEquals(await valueOf(secrets, "a"), "again");
  assertEquals(await (await withKey(store, 1)).resolve({ A: "a" }, { a: 1 }), { A: "hidden" });
});

storeTest("the key is made once, for nobody else to read", async (store, folder) => {
  const path = `${folder}/secret-key`;
  await Deno.writeTextFile(`${path}.new`, "half of a k"); // of a process that was killed
  await (await Secrets.open(store, { folder })).set("a", "x");
  const made = await Deno.readTextFile(path);
  assertMatch(made, /^[A-Za-z0-9+/]{43}=\n$/);
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  assertEquals(names.filter((name) => name.startsWith("secret")), ["secret-key"]);
  assertEquals(await valueOf(await Secrets.open(store, { folder }), "a"), "x");
  assertEquals(await Deno.readTextFile(path), made);
  assertEquals(await valueOf(await Secrets.open(store, { folder: "/none", text: made }), "a"), "x");
});

storeTest("a key that an operator has put there is used, and closed to others", async (store, folder) => {
  const path = `${folder}/secret-key`;
  await Deno.writeTextFile(path, keyOf(1), { mode: 0o644 });
  await (await Secrets.open(store, { folder })).set("a", "x");
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  assertEquals(await Deno.readTextFile(path), keyOf(1));
  assertEquals(await valueOf(await withKey(store, 1), "a"), "x");
});

storeTest("no file is read or made where the key is given", async (store, folder) => {
  await Deno.writeTextFile(`${folder}/secret-key`, "damaged");
  await (await Secrets.open(store, { folder, text: ` ${keyOf(1)}\n` })).set("a", "x");
  assertEquals(await Deno.readTextFile(`${folder}/secret-key`), "damaged");
  await Deno.remove(`${folder}/secret-key`);
  assertEquals(await valueOf(await Secrets.open(store, { folder, text: keyOf(1) }), "a"), "x");
  await assertRejects(() => Deno.stat(`${folder}/secret-key`), Deno.errors.NotFound);
});

storeTest("a key that is lost is not replaced without a word", async (store, folder) => {
  const path = `${folder}/secret-key`;
  await (await Secrets.open(store, { folder })).set("a", "x");
  const key = await Deno.readTextFile(path);
  await Deno.remove(path);
  const message = await failure(() => Secrets.open(store, { folder }), SecretKeyError);
  assert(
    message.startsWith(`${path} is missing, and there are secrets that only its key opens; put it back or`),
    message,
  );
  assert(message.includes(`(umask 077; openssl rand -base64 32 > ${path})`), message);
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  await Deno.writeTextFile(path, key);
  const secrets = await Secrets.open(store, { folder });
  assertEquals(await valueOf(secrets, "a"), "x");
  secrets.delete("a");
  await Deno.remove(path);
  await Secrets.open(store, { folder });
  assertNotEquals(await Deno.readTextFile(path), key);
});

storeTest("what is no key is refused, and not shown", async (store, folder) => {
  const path = `${folder}/secret-key`;
  for (const wrong of ["", "hidden", "hidden!", keyOf(1).slice(4), keyOf(1) + keyOf(1), "a".repeat(64)]) {
    const given = await assertRejects(() => Secrets.open(store, { folder, text: wrong }), SecretKeyError);
    assertMatch(given.message, /^CLESS_SECRET_KEY must be 32 bytes as base64; .* `openssl rand -base64 32`$/);
    await Deno.writeTextFile(path, wrong);
    const read = await assertRejects(() => Secrets.open(store, { folder }), SecretKeyError);
    assert(read.message.startsWith(`${path} is damaged: it must have 32 bytes as base64`), read.message);
    assertEquals(await Deno.readTextFile(path), wrong);
    if (wrong !== "") { for (const error of [given, read]) assert(!allOf(error).includes(wrong), allOf(error)); }
  }
});

storeTest("a key file that cannot be used is told in one line", async (store, folder) => {
  await Deno.mkdir(`${folder}/secret-key`);
  for (const place of [folder, `${folder}/none`]) {
    const message = await failure(() => Secrets.open(store, { folder: place }), SecretKeyError);
    assertMatch(message, /^cannot use \S+\/secret-key: [A-Z][a-z ]+; it must be a file, in a folder in which/);
  }
});

storeTest("neither the key nor a value is shown where the secrets are printed", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "hidden");
  const shown = Deno.inspect(secrets, { depth: 9, showHidden: true }) + JSON.stringify(secrets);
  for (const text of ["hidden", keyOf(1), "1, 1, 1, 1"]) assert(!shown.includes(text), shown);
});
