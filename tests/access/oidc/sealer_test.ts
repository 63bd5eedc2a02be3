import { assertEquals, assertNotEquals } from "@std/assert";
import { Sealer } from "../../../src/access/oidc/sealer.ts";

/** A sealer whose keys follow from a text and the purpose. */
function sealer(text: string): Sealer {
  return new Sealer({
    deriveKey: (purpose) => {
      const bytes = new TextEncoder().encode(`${purpose} ${text}`.padEnd(32).slice(0, 32));
      return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
    },
  });
}

Deno.test("a value opens as what it was sealed for, where it was sealed for, and nowhere else", async () => {
  const one = sealer("a");
  const value = { a: [1, "ü"] };
  const sealed = await one.seal("session", ["app", "https://a"], value);
  assertEquals(await one.open("session", ["app", "https://a"], sealed), value);
  assertEquals(await sealer("a").open("session", ["app", "https://a"], sealed), value);
  assertEquals(await one.open("attempt", ["app", "https://a"], sealed), undefined);
  assertEquals(await sealer("b").open("session", ["app", "https://a"], sealed), undefined);
  for (const context of [[], ["app"], ["apphttps://a"], ["app", "https://a", ""], ["shop", "https://a"]]) {
    assertEquals(await one.open("session", context, sealed), undefined, `${context}`);
  }
  assertNotEquals(await one.seal("session", ["app", "https://a"], value), sealed);
});

Deno.test("a text that nobody sealed opens as nothing", async () => {
  const one = sealer("a");
  for (const text of ["", "A", "not base64!", "a".repeat(15), "A".repeat(64), "=".repeat(40)]) {
    assertEquals(await one.open("state", [], text), undefined, text);
  }
});
