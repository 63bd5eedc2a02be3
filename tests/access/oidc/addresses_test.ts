import { assertEquals } from "@std/assert";
import { SignInAddresses } from "../../../src/access/oidc/addresses.ts";

/** The sign-in addresses of services that clients reach at these origins. */
function addressesAt(origins: string[], callbackHost?: string): SignInAddresses {
  const hosts = { isNamed: () => true, originsOf: () => origins };
  return new SignInAddresses({ hosts, publicUrl: undefined, callbackHost });
}

Deno.test("people can sign in only where all addresses of a service have HTTPS, or are on this machine", () => {
  const problem = (...origins: string[]) => addressesAt(origins).problemOf("app", []);
  assertEquals(problem("http://app.localhost"), undefined);
  assertEquals(problem("http://app.example.localhost:8080", "http://a.localhost:8080"), undefined);
  assertEquals(problem("https://app.example.org", "https://shop.example.com"), undefined);
  const needs = (name: string) =>
    `needs HTTPS at ${name}: run \`cless https on\`, or name the address of your own proxy with --public-url https://…` +
    "; without that, people can sign in only below localhost";
  assertEquals(problem("http://app.example.org:8080"), needs("app.example.org"));
  assertEquals(problem("http://app.localhost", "http://shop.example.com"), needs("shop.example.com"));
});

Deno.test("the provider of a sign-in must know each address of the service, or the one for all", () => {
  const path = "/.well-known/cless/oidc/callback";
  const origins = ["https://app.example.org:8443", "https://www.example.com:8443"];
  assertEquals(addressesAt(origins).callbacksOf("app", []), origins.map((origin) => origin + path));
  const forAll = addressesAt(origins, "auth.example.org").callbacksOf("app", []);
  assertEquals(forAll, [`https://auth.example.org:8443${path}`]);
});
