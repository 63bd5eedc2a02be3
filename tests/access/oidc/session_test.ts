import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { identityOf, mayEnter, sessionOf } from "../../../src/access/oidc/session.ts";
import { CODE_POINT } from "../../support/code_point.ts";

const HOURS_12 = 12 * 3_600_000;
const session = (claims: Record<string, unknown>, allow: readonly string[] = []) =>
  sessionOf({ sub: "1", ...claims }, allow, 1000);
const enters = (allow: readonly string[], claims: Record<string, unknown>) => mayEnter(session(claims, allow), allow);

Deno.test("a session has the account's name, its verified address and its groups, and an end", () => {
  const claims = { preferred_username: "alice", email: "a@example.org", email_verified: true, groups: ["dev"] };
  const alice = session(claims);
  assertEquals(alice, { sub: "1", user: "alice", email: "a@example.org", groups: ["dev"], endsMs: 1000 + HOURS_12 });
  assertEquals(identityOf(alice), { user: "alice", email: "a@example.org", groups: ["dev"] });
  assertEquals(session({}), { sub: "1", user: "1", groups: [], endsMs: 1000 + HOURS_12 });
  assertEquals(session({ groups: "only" }).groups, ["only"]);
});

Deno.test("an address counts only if the provider says that it is verified", () => {
  const email = "a@example.org";
  for (const flag of [true, "true"]) assertEquals(session({ email, email_verified: flag }).email, email);
  for (const flag of [undefined, false, "false", "yes", 1, null]) {
    assertEquals(session({ email, email_verified: flag }).email, undefined, `${flag}`);
    assert(!enters(["*@example.org", email], { email, email_verified: flag }), `${flag}`);
  }
});

Deno.test("an entry lets in exactly the accounts that it names", () => {
  const verified = (email: string) => ({ email, email_verified: true });
  const cases: [allow: string[], claims: Record<string, unknown>, enters: boolean][] = [
    [[], {}, true],
    [["*@example.org"], verified("a@example.org"), true],
    [["*@Example.ORG"], verified("A@EXAMPLE.org"), true],
    [["*@example.org"], verified("a@sub.example.org"), false],
    [["*@example.org"], verified("a@notexample.org"), false],
    [["*@example.org"], verified("a@example.org@evil.example"), false],
    [["*@example.org"], verified("example.org"), false],
    [["a@example.org"], verified("A@example.org"), true],
    [["a@example.org"], verified("b@example.org"), false],
    [["group:dev"], { groups: ["ops", "dev"] }, true],
    [["group:dev"], { groups: ["Dev", "developers"] }, false],
    [["group:dev"], { groups: "dev" }, true],
    [["group:dev"], { groups: { dev: true } }, false],
    [["group:a, b"], { groups: ["a, b"] }, true],
    [["group:*"], { groups: ["dev"] }, false],
    [["a@example.org", "group:dev"], { groups: ["dev"] }, true],
    [["group:a@example.org"], verified("a@example.org"), false],
  ];
  for (const [allow, claims, expected] of cases) {
    assertEquals(enters(allow, claims), expected, JSON.stringify([allow, claims]));
  }
});

Deno.test("what a header cannot carry is left out, and no group can look like two", () => {
  const odd = session({
    ...{ preferred_username: "a\r\nx-auth-groups: admin", email: "ä@example.org", email_verified: true },
    groups: ["a,admin", "b\n", "Ö", "fine one"],
  });
  assertEquals(identityOf(odd), { user: "1", email: undefined, groups: ["fine one"] });
  for (const sub of [undefined, "", 7, "a\nb", "x".repeat(256)]) {
    assertThrows(() => session({ sub }), RangeError, "sub");
  }
});

Deno.test("however many groups an account has, those that count are there, and the cookie stays small", () => {
  const groups = Array.from({ length: 1000 }, (_, at) => `group number ${at}`);
  const many = session({ groups }, ["group:group number 999"]);
  assertEquals(many.groups[0], "group number 999");
  assert(many.groups.length > 50);
  fc.assert(fc.property(fc.array(fc.string({ unit: CODE_POINT })), fc.array(fc.string()), (groups, allow) => {
    const text = JSON.stringify(session({ groups: [...groups, ...groups] }, allow.map((one) => `group:${one}`)));
    assert(new TextEncoder().encode(text).length < 2000);
  }));
});
