import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { GateRequest, Outcome } from "../../src/access/authenticator.ts";
import { BasicAuth } from "../../src/access/basic_auth.ts";
import { PasswordChecks } from "../../src/access/password_checks.ts";
import { isPassword } from "../../src/access/password_hash.ts";
import { Attempts } from "../../src/base/attempts.ts";
import { ClessError } from "../../src/base/errors.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { asked, basic, HASH, OTHER_HASH } from "./kit.ts";

const USERS = { alice: HASH, "Zoë": OTHER_HASH };

/** A lock with the users alice and Zoë, and what has been hashed. */
function newLock() {
  const clock = new FakeClock();
  const hashed: string[] = [];
  const checks = new PasswordChecks((password, hash) => {
    hashed.push(password);
    return isPassword(password, hash);
  });
  const attempts = new Attempts(clock);
  return { auth: new BasicAuth({ service: "app", users: USERS, clock, checks, attempts }), attempts, clock, hashed };
}

function withText(authorization: string, client = "192.0.2.1"): GateRequest {
  return asked({ authorization }, { client });
}

/** The user that an outcome names, or the status of its response. */
function summary(outcome: Outcome): string | number | undefined {
  if (outcome === undefined) return undefined;
  return "identity" in outcome ? outcome.identity.user : outcome.response.status;
}

Deno.test("a right password lets its user pass, whatever the scheme's case and Unicode's form", async () => {
  const { auth } = newLock();
  for (
    const [text, user] of [
      [basic("alice", "open sesame"), "alice"],
      [basic("alice", "open sesame").replace("Basic", "bAsIc  "), "alice"],
      [basic("Zoë".normalize("NFD"), "pâss:wörd".normalize("NFD")), "Zoë"],
      [basic("Zoë".normalize("NFC"), "pâss:wörd".normalize("NFC")), "Zoë"],
    ] as const
  ) assertEquals(summary(await auth.check(withText(text))), user.normalize("NFC"), text);
});

Deno.test("what is not exactly one right user and password is a 401 with a challenge", async () => {
  const { auth } = newLock();
  const right = basic("alice", "open sesame");
  const latin1 = `Basic ${btoa("Zo\xeb:p\xe2ss:w\xf6rd")}`; // not UTF-8
  for (
    const text of [
      ...[basic("alice", "wrong"), basic("bob", "open sesame"), basic("alice", ""), basic("", "open sesame")],
      ...[basic("Alice", "open sesame"), basic("alice", "pâss:wörd"), `Basic ${btoa("alice")}`, latin1],
      ...["Basic", "Basic ", "Basic !!!", "Basic YQ", "Bearer abc", "Digest username=alice", right.replace(" ", "")],
      ...[
        `${right}, ${right}`,
        `${right}, Bearer abc`,
        `Bearer abc, ${right}`,
        `${right} x`,
        `Basic ${"A".repeat(5000)}`,
      ],
      ...[basic("__proto__", "x"), basic("constructor", "x")],
    ]
  ) {
    const { auth: fresh } = newLock(); // so that no address is locked out
    const outcome = await fresh.check(withText(text));
    assertEquals(summary(outcome), 401, text);
  }
  const outcome = auth.check(asked()) as Exclude<Outcome, undefined>;
  assert("response" in outcome);
  const { headers } = outcome.response;
  assertEquals(headers.get("www-authenticate"), 'Basic realm="app", charset="UTF-8"');
  assertEquals([headers.get("cless-error"), headers.get("cache-control")], ["unauthorized", "no-store"]);
});

Deno.test("a right password is hashed once, also by requests that come together, and is then known at once", async () => {
  const { auth, clock, hashed } = newLock();
  const text = basic("alice", "open sesame");
  const first = await Promise.all(Array.from({ length: 50 }, () => auth.check(withText(text))));
  assertEquals(first.map(summary), Array(50).fill("alice"));
  for (let minute = 0; minute < 3; minute++) {
    assertEquals(summary(await auth.check(withText(text))), "alice");
    const outcome = auth.check(withText(text));
    assert(!(outcome instanceof Promise));
    assertEquals(summary(outcome), "alice");
    await clock.advance(60_000); // the text is forgotten, and its tag is not
  }
  assertEquals(hashed, ["open sesame"]);
  assertEquals(clock.timers, 0);
});

Deno.test("a wrong password again is no new guess: it is not hashed, and does not count", async () => {
  const { auth, hashed } = newLock();
  for (let time = 0; time < 20; time++) {
    assertEquals(summary(await auth.check(withText(basic("alice", "wrong")))), 401);
  }
  assertEquals(hashed, ["wrong"]);
  assertEquals(summary(await auth.check(withText(basic("alice", "open sesame")))), "alice");
});

Deno.test("a password for an unknown user is hashed too, and is wrong even if it is that of another user", async () => {
  const { auth, hashed } = newLock();
  const passwords = ["open sesame", "pâss:wörd"];
  for (const user of ["bob", "carol", "dave"]) {
    for (const password of passwords) {
      assertEquals(summary(await auth.check(withText(basic(user, password)))), 401);
    }
  }
  assertEquals(hashed, [...passwords, ...passwords, ...passwords]);
});

Deno.test("after ten wrong passwords, an address is refused before its password is checked, for a minute", async () => {
  const { auth, clock, hashed } = newLock();
  const right = basic("alice", "open sesame");
  assertEquals(summary(await auth.check(withText(right))), "alice");
  for (let time = 0; time < 10; time++) await auth.check(withText(basic("alice", `wrong ${time}`)));
  for (const text of [right, basic("alice", "wrong 0"), basic("alice", "new"), "basic"]) {
    const error = assertThrows(() => auth.check(withText(text)), ClessError);
    assertEquals([error.code, error.retryAfterS], ["too_many_attempts", 60]);
  }
  assertEquals(hashed.length, 11);
  // Another address, and what is no password, are not concerned.
  assertEquals(summary(await auth.check(withText(right, "192.0.2.2"))), "alice");
  assertEquals(summary(await auth.check(asked())), 401);
  assertEquals(summary(await auth.check(withText("Bearer token"))), 401);
  await clock.advance(60_000);
  assertEquals(summary(await auth.check(withText(right))), "alice");
});

Deno.test("guesses that come together are limited too", async () => {
  const { auth, hashed } = newLock();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, async (_, guess) => await auth.check(withText(basic("alice", `guess ${guess}`)))),
  );
  const refused = outcomes.filter(({ status }) => status === "rejected");
  assertEquals(hashed.length + refused.length, 100);
  assert(hashed.length <= 9 + 4, `${hashed.length} guesses`); // 9 are allowed, and 4 may run when the tenth is wrong
  for (const { reason } of refused as PromiseRejectedResult[]) {
    assert(reason instanceof ClessError && reason.code === "too_many_attempts");
  }
});

Deno.test("no other text than the right user and password passes", async () => {
  const pieces = fc.constantFrom(
    ...["alice", "open sesame", ":", "Zoë", "pâss:wörd", "", "\0", " ", "ALICE", "é", "é".normalize("NFD"), ",", "\n"],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 6 }), async (parts) => {
      const pair = parts.join("");
      const { auth } = newLock();
      const passed = summary(await auth.check(withText(`Basic ${new TextEncoder().encode(pair).toBase64()}`)));
      const isRight = pair.normalize("NFC") === "alice:open sesame" || pair.normalize("NFC") === "Zoë:pâss:wörd";
      assertEquals(typeof passed === "string", isRight, pair);
    }),
    { numRuns: 300 },
  );
});
