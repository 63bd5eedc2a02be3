import { assertEquals, assertThrows } from "@std/assert";
import { parsePublicUrl, urlBelow } from "../../src/model/public_url.ts";

Deno.test("a public URL is a scheme, a domain and maybe a port", () => {
  const read = (text: string) => urlBelow(parsePublicUrl(text), "app");
  assertEquals(read("https://example.org"), "https://app.example.org");
  assertEquals(read("HTTPS://Example.ORG./"), "https://app.example.org");
  assertEquals(read("https://example.org:443"), "https://app.example.org");
  assertEquals(read("https://apps.example.org:8443/"), "https://app.apps.example.org:8443");
  assertEquals(read("http://localhost:8080"), "http://app.localhost:8080");
  assertEquals(read("http://example.org:443"), "http://app.example.org:443");
  assertEquals(parsePublicUrl("https://example.org"), { scheme: "https", domain: "example.org", port: 443 });
});

for (
  const [text, why] of [
    ["example.org", "such as https://example.org"],
    ["ftp://example.org", "expected http:// or https://"],
    ["https:example.org", "expected http:// or https://"],
    ["https://example.org/shop", "no path or query"],
    ["https://example.org//", "no path or query"],
    ["https://example.org?x=1", "no path or query"],
    ["https://example.org#x", "no path or query"],
    ["https://me@example.org", "no user"],
    ["https://me:secret@example.org", "no user"],
    ["https://192.0.2.1", "no IP address"],
    ["https://[2001:db8::1]", "no IP address"],
    ["https://", "no IP address"],
    ["https://*.example.org", "no IP address"],
    ["https://example.org:65536", "no IP address"],
    ["https://example.org:0", "no port 0"],
  ] as const
) {
  Deno.test(`${text} is refused in one line that says why`, () => {
    const { message } = assertThrows(() => parsePublicUrl(text), RangeError, why);
    assertEquals(message.includes("\n"), false);
  });
}
