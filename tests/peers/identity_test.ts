import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { keepIdentity, makeIdentity, openIdentity } from "../../src/peers/identity.ts";
import { formatJoinToken, type JoinToken, parseJoinToken } from "../../src/peers/join_token.ts";
import { noWrite } from "../support/permissions.ts";

async function inFolder(fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

async function token(): Promise<JoinToken> {
  return {
    owner: "0a1b2c3d",
    adminToken: "t".repeat(64),
    adminTokenMadeAt: 1_700_000_000_000,
    secretKey: new Uint8Array(32).fill(7).toBase64(),
    identity: await makeIdentity(),
    managers: [{ nodeId: "4qm0sa1hnk3xkcg4kj9s9xyzq", address: "10.0.0.1:2377" }],
    swarm: { worker: "SWMTKN-1-worker", manager: "SWMTKN-1-manager" },
    peers: ["10.0.0.1:1324"],
  };
}

Deno.test({
  name: "an identity is made once, and is for its owner's eyes only",
  ignore: noWrite,
  fn: () =>
    inFolder(async (folder) => {
      const made = await openIdentity(folder);
      assertMatch(made.secret, /^[\w-]{43}$/);
      const file = `${folder}/peer-identity`;
      assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
      await Deno.chmod(file, 0o644); // as a copy may have it
      assertEquals(await openIdentity(folder), made);
      assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
      const other = await makeIdentity();
      assertNotEquals(other.secret, made.secret);
      keepIdentity(folder, other);
      assertEquals(await openIdentity(folder), other);
    }),
});

Deno.test({
  name: "a damaged identity is not replaced, since the other machines would not know the new one",
  ignore: noWrite,
  fn: () =>
    inFolder(async (folder) => {
      for (
        const text of ["", "{", "null", '{"certificate":"x"}', JSON.stringify({ ...await makeIdentity(), secret: 1 })]
      ) {
        await Deno.writeTextFile(`${folder}/peer-identity`, text);
        await assertRejects(() => openIdentity(folder), OperatorError, "peer-identity is damaged; restore it");
        assertEquals(await Deno.readTextFile(`${folder}/peer-identity`), text);
      }
    }),
});

Deno.test("a token to join is one line, and has all that it was made from", async () => {
  const made = await token();
  const text = formatJoinToken(made);
  assertMatch(text, /^cless-join-[\w-]+$/);
  assert(text.length < 4000, `${text.length}: a terminal takes no longer line`);
  assertEquals(parseJoinToken(` ${text}\n`), made);
});

Deno.test("what is no token to join is refused in words, and no part of it is shown", async () => {
  const made = await token();
  const text = formatJoinToken(made);
  const encoded = (value: unknown) =>
    `cless-join-${btoa(JSON.stringify(value)).replaceAll("=", "").replaceAll("+", "-")}`;
  const refused: [text: string, reason: string][] = [
    ["", "begins with cless-join-"],
    ["SWMTKN-1-x", "begins with cless-join-"],
    [`x${text}`, "begins with cless-join-"],
    [text.slice(0, 500), "cut off or damaged"],
    [text.slice(0, -3), "cut off or damaged"],
    [encoded({ format: 2 }), "another version"],
    [encoded({ ...made, format: 1, owner: "../../x" }), "lacks something"],
    [encoded({ ...made, format: 1, secretKey: "x" }), "lacks something"],
    [encoded({ ...made, format: 1, identity: undefined }), "lacks something"],
    [encoded({ ...made, format: 1, managers: [{}] }), "lacks something"],
    [encoded({ ...made, format: 1, swarm: { worker: "SWMTKN-1" } }), "lacks something"],
  ];
  for (const [text, reason] of refused) {
    const { message } = assertThrows(() => parseJoinToken(text), RangeError, reason);
    assert(text.length < 12 || !message.includes(text.slice(11, 20)), message);
  }
});
