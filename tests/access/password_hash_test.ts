import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { hashPassword, isPassword, parsePasswordHash } from "../../src/access/password_hash.ts";
import { HASH, OTHER_HASH } from "./kit.ts";

Deno.test("a password is recognized by its hash, and no other text is", async () => {
  const hash = parsePasswordHash(HASH);
  assert(await isPassword("open sesame", hash));
  for (const wrong of ["", "open", "open sesame ", "Open sesame", HASH]) {
    assertEquals(await isPassword(wrong, hash), false, wrong);
  }
});

Deno.test("a password counts in Unicode's composed form", async () => {
  const hash = parsePasswordHash(OTHER_HASH);
  assert(await isPassword("pâss:wörd".normalize("NFC"), hash));
  assert(await isPassword("pâss:wörd".normalize("NFD"), hash));
});

Deno.test("a new hash has a salt of its own, and the parameters that OWASP recommends for 32 MiB", async () => {
  const [one, two] = await Promise.all([hashPassword("secret"), hashPassword("secret")]);
  assertMatch(one!, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assertNotEquals(one, two);
  assert(await isPassword("secret", parsePasswordHash(one!)));
  assertEquals(await isPassword("Secret", parsePasswordHash(two!)), false);
});

Deno.test("while a password is hashed, the event loop goes on", async () => {
  let turns = 0;
  const count = setInterval(() => turns++, 1);
  await hashPassword("secret");
  clearInterval(count);
  assert(turns > 0);
});

// The third vector of RFC 7914, section 12, has a key of 64 bytes and needs 16 MiB.
Deno.test("keys are those of RFC 7914", async () => {
  const key = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887";
  const salt = new TextEncoder().encode("SodiumChloride");
  assert(await isPassword("pleaseletmein", { logN: 14, r: 8, p: 1, salt, key: Uint8Array.fromHex(key) }));
});

Deno.test("a text that is no hash, or one of too weak or too expensive parameters, is refused", () => {
  const [, , , salt, key] = HASH.split("$");
  for (
    const text of [
      ...["", "secret", "$scrypt$", HASH.slice(0, -1), `${HASH}=`, HASH.replace("scrypt", "argon2id"), `${HASH} `],
      ...[["9", "8", "1"], ["15", "0", "1"], ["15", "8", "0"], ["15", "8", "5"], ["16", "9", "1"], ["20", "8", "1"]]
        .map(([ln, r, p]) => `$scrypt$ln=${ln},r=${r},p=${p}$${salt}$${key}`),
    ]
  ) {
    assertThrows(() => parsePasswordHash(text), RangeError, "expected", text);
  }
});
