import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { Secrets } from "../../../src/control/secrets/secrets.ts";
import {
  SecretKeyError,
  type SecretKeySource,
  UnreadableSecretError,
} from "../../../src/control/secrets/secret_key.ts";
import { OperatorError } from "../../../src/base/errors.ts";
import { allOf, failure, keyOf, storeTest, valueOf, withKey, withSealed } from "./secrets_kit.ts";

storeTest("no value is on disk in the clear, and no two sealed values are the same", async (store, folder) => {
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

storeTest("a sealed value with any changed byte is refused", async (store) => {
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

storeTest("the error for a wrong key names the value and what to do", async (store, folder) => {
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

storeTest("the key is made once, readable for nobody else", async (store, folder) => {
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

storeTest(
  "a key file that an operator has put there is used, and made unreadable for others",
  async (store, folder) => {
    const path = `${folder}/secret-key`;
    await Deno.writeTextFile(path, keyOf(1), { mode: 0o644 });
    await (await Secrets.open(store, { folder })).set("a", "x");
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    assertEquals(await Deno.readTextFile(path), keyOf(1));
    assertEquals(await valueOf(await withKey(store, 1), "a"), "x");
  },
);

storeTest("no key file is read or made if the key is given", async (store, folder) => {
  await Deno.writeTextFile(`${folder}/secret-key`, "damaged");
  await (await Secrets.open(store, { folder, text: ` ${keyOf(1)}\n` })).set("a", "x");
  assertEquals(await Deno.readTextFile(`${folder}/secret-key`), "damaged");
  await Deno.remove(`${folder}/secret-key`);
  assertEquals(await valueOf(await Secrets.open(store, { folder, text: keyOf(1) }), "a"), "x");
  await assertRejects(() => Deno.stat(`${folder}/secret-key`), Deno.errors.NotFound);
});

storeTest("a lost key is not replaced silently", async (store, folder) => {
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

storeTest("an invalid key is refused and not shown", async (store, folder) => {
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

storeTest("the error for an unusable key file is one line", async (store, folder) => {
  await Deno.mkdir(`${folder}/secret-key`);
  for (const place of [folder, `${folder}/none`]) {
    const message = await failure(() => Secrets.open(store, { folder: place }), SecretKeyError);
    assertMatch(message, /^cannot use \S+\/secret-key: [A-Z][a-z ]+; it must be a file, in a folder in which/);
  }
});

storeTest("neither the key nor a value is shown if the secrets are printed", async (store) => {
  const secrets = await withKey(store);
  await secrets.set("a", "hidden");
  const shown = Deno.inspect(secrets, { depth: 9, showHidden: true }) + JSON.stringify(secrets);
  for (const text of ["hidden", keyOf(1), "1, 1, 1, 1"]) assert(!shown.includes(text), shown);
});

storeTest("keys for other purposes are the same at each start, and each is another one", async (store, folder) => {
  const iv = new Uint8Array(12);
  const sealedBy = async (secrets: Secrets, purpose: string) => {
    const key = await secrets.deriveKey(purpose);
    assertEquals([key.extractable, key.algorithm], [false, { name: "AES-GCM", length: 256 } as KeyAlgorithm]);
    return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new Uint8Array(8))).toHex();
  };
  const [first, again] = [await Secrets.open(store, { folder }), await Secrets.open(store, { folder })];
  const sealed = await sealedBy(first, "one");
  assertEquals(await sealedBy(again, "one"), sealed);
  assertNotEquals(await sealedBy(first, "two"), sealed);
  const other = await Secrets.open(store, { folder, text: new Uint8Array(32).toBase64() });
  assertNotEquals(await sealedBy(other, "one"), sealed);
});
