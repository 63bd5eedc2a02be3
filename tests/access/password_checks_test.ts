import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { PasswordChecks } from "../../src/access/password_checks.ts";
import { parsePasswordHash } from "../../src/access/password_hash.ts";
import { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { HASH } from "./kit.ts";

const hash = parsePasswordHash(HASH);

/** Checks that a test ends itself. */
function slowly() {
  const running: PromiseWithResolvers<boolean>[] = [];
  const checks = new PasswordChecks(() => {
    const check = Promise.withResolvers<boolean>();
    running.push(check);
    return check.promise;
  });
  return { checks, running };
}

function code(fn: () => unknown): string {
  return assertThrows(fn, ClessError).code;
}

Deno.test("two passwords are hashed at once, and the others wait in order", async () => {
  const { checks, running } = slowly();
  const outcomes = ["a", "b", "c"].map((address) => checks.check("x", hash, address));
  await settle();
  assertEquals(running.length, 2);
  running[0]!.resolve(true);
  assertEquals(await outcomes[0], true);
  await settle();
  assertEquals(running.length, 3);
  running[1]!.resolve(false);
  running[2]!.resolve(true);
  assertEquals(await Promise.all(outcomes), [true, false, true]);
});

Deno.test("an address may have four checks pending, and all together 32; further ones are refused at once", async () => {
  const { checks, running } = slowly();
  const outcomes: Promise<boolean>[] = [];
  for (let address = 0; address < 8; address++) {
    for (let time = 0; time < 4; time++) outcomes.push(checks.check("x", hash, `${address}`));
    if (address < 7) assertEquals(code(() => checks.check("x", hash, `${address}`)), "too_many_attempts");
  }
  assertEquals(code(() => checks.check("x", hash, "new")), "overloaded");
  await settle();
  running[0]!.resolve(false);
  await outcomes[0];
  outcomes.push(checks.check("x", hash, "new")); // there is room again
  for (let ended = 0; ended < outcomes.length; ended++) {
    running[ended]!.resolve(false);
    await outcomes[ended];
    await settle();
  }
  assertEquals(running.length, 33);
});

Deno.test("a check that fails makes room too", async () => {
  const { checks, running } = slowly();
  for (let time = 0; time < 10; time++) {
    const outcome = checks.check("x", hash, "a");
    await settle();
    running[time]!.reject(new Error("no memory"));
    assertEquals(await outcome.catch(({ message }) => message), "no memory");
  }
});

Deno.test("a tag stands for one text in one process", async () => {
  const [checks, other] = [new PasswordChecks(), new PasswordChecks()];
  const tag = await checks.tagOf("secret");
  assertEquals(await checks.tagOf("secret"), tag);
  assertNotEquals(await checks.tagOf("Secret"), tag);
  assertNotEquals(await other.tagOf("secret"), tag);
  assert(!tag.includes("secret"));
});
