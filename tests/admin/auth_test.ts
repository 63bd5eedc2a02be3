import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { isAuthorized } from "../../src/admin/auth.ts";

const TOKEN = "0123456789abcdef".repeat(4);

/** Whether a request with that header shows the token. */
function accepted(authorization: string | undefined, token = TOKEN): Promise<boolean> {
  return isAuthorized(
    new Request("http://admin/", { headers: authorization === undefined ? {} : { authorization } }),
    token,
  );
}

Deno.test("the token is accepted, in whatever case the scheme is written", async () => {
  for (const scheme of ["Bearer ", "bearer ", "BEARER ", "Bearer   "]) {
    assertEquals(await accepted(scheme + TOKEN), true);
  }
});

Deno.test("nothing but the token is accepted", async () => {
  const headers = [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    TOKEN,
    `Bearer${TOKEN}`,
    `Basic ${TOKEN}`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN}0`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
    `Bearer x, Bearer ${TOKEN}`,
    `Bearer "${TOKEN}"`,
  ];
  for (const header of headers) assertEquals(await accepted(header), false, header);
});

Deno.test("an empty token opens nothing", async () => {
  for (const header of ["Bearer", "Bearer ", "Bearer  "]) assertEquals(await accepted(header, ""), false);
});

Deno.test("two tokens are the same when they are, whatever their lengths", async () => {
  const tokens = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
  await fc.assert(fc.asyncProperty(tokens, tokens, async (shown, token) => {
    assertEquals(await accepted(`Bearer ${shown}`, token), shown === token);
    assertEquals(await accepted(`Bearer ${token}`, token), true);
  }));
});
