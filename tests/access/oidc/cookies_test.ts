import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { dropOwnCookies, SignInCookies } from "../../../src/access/oidc/cookies.ts";
import type { Header } from "../../../src/http/headers.ts";

/** The cookies that an app gets. */
function passed(...lines: string[]): string[] {
  const headers: Header[] = [["host", "a"], ...lines.map((line): Header => ["cookie", line])];
  dropOwnCookies(headers);
  return headers.slice(1).map(([, value]) => value);
}

Deno.test("an app gets its own cookies as they are, and none of cless", () => {
  assertEquals(passed("a=b; c=d"), ["a=b; c=d"]);
  assertEquals(passed("a=b; __Host-cless-session=x; c=d"), ["a=b; c=d"]);
  assertEquals(passed("__Host-cless-session=x"), []);
  assertEquals(passed("cless-session=x;a=b;  __Host-cless-attempt-1-2=y", "c=d"), ["a=b", "c=d"]);
  assertEquals(passed("a=b,__Host-cless-session=x"), []); // some apps would take it for two
  assertEquals(passed('a="; __Host-cless-session=x'), ['a="']);
});

Deno.test("however a line is written, no app sees a cookie of cless in it", () => {
  const piece = fc.constantFrom("__Host-cless-session", "cless-attempt-1", "=", ";", " ", ",", '"', "a", "\t");
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    for (const line of passed(pieces.join(""))) assert(!/cless-(?:session|attempt)/.test(line), line);
  }));
});

Deno.test("only what this cless may have set is read", () => {
  const request = (cookie: string) => new Request("http://a", { headers: { cookie } });
  const [secure, plain] = [new SignInCookies(true), new SignInCookies(false)];
  const both = request("cless-session=plain; __Host-cless-session=secure; __Host-cless-attempt-1=x");
  assertEquals([secure.session(both), plain.session(both)], ["secure", "plain"]);
  assertEquals([secure.attempt(both, "1"), secure.attempt(both, "2"), plain.attempt(both, "1")], [
    "x",
    undefined,
    undefined,
  ]);
  assertEquals(secure.session(request("x__Host-cless-session=a; __host-cless-session=b")), undefined);
});

Deno.test("of many sign-ins under way, the oldest are given up", () => {
  const cookie = [7, 3, 5, 9, 1, 2].map((time) => `cless-attempt-00000000${time}-x=y`).join("; ");
  const request = new Request("http://a", { headers: { cookie: `${cookie}; cless-attempt-a b=c; cless-attempt-(=d` } });
  const excess = new SignInCookies(false).excess(request);
  assertEquals(excess, ["000000002-x", "000000001-x"]);
  assertEquals(new SignInCookies(true).excess(request), []);
});
