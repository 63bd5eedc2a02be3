import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ClessError, type ErrorCode } from "../../src/base/errors.ts";
import { problem } from "../../src/http/problem.ts";

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

/** A request that accepts something. */
function accepting(accept?: string): { headers: Headers } {
  return { headers: new Headers(accept === undefined ? [] : [["accept", accept]]) };
}

function error(code: ErrorCode, message = "The service did not answer"): ClessError {
  return new ClessError(code, message, { detail: "secret detail", cause: new Error("secret cause") });
}

for (
  const [code, status, title] of [
    ["bad_host", 400, "Bad Request"],
    ["bad_request", 400, "Bad Request"],
    ["unauthorized", 401, "Unauthorized"],
    ["too_large", 413, "Content Too Large"],
    ["rate_limited", 429, "Too Many Requests"],
    ["unknown_host", 404, "Not Found"],
    ["not_found", 404, "Not Found"],
    ["method_not_allowed", 405, "Method Not Allowed"],
    ["internal", 500, "Internal Server Error"],
    ["start_failed", 502, "Bad Gateway"],
    ["upstream_failed", 502, "Bad Gateway"],
    ["overloaded", 503, "Service Unavailable"],
    ["maintenance", 503, "Service Unavailable"],
    ["draining", 503, "Service Unavailable"],
    ["start_timeout", 504, "Gateway Timeout"],
    ["upstream_timeout", 504, "Gateway Timeout"],
  ] as const
) {
  Deno.test(`${code} is a ${status} with the code in the header and in the body`, async () => {
    const response = problem(error(code), accepting());
    assertEquals(response.status, status);
    assertEquals(response.headers.get("cless-error"), code);
    assertEquals(response.headers.get("content-type"), "application/problem+json");
    assertEquals(response.headers.get("cache-control"), "no-store");
    const body = { type: "about:blank", title, status, detail: "The service did not answer", code };
    assertEquals(await response.json(), body);
  });
}

for (
  const accept of [undefined, "*/*", "application/json", "application/problem+json", "text/plain", "image/*", "x", ""]
) {
  Deno.test(`a client that accepts ${accept ?? "nothing in particular"} gets JSON`, () => {
    const response = problem(error("upstream_failed"), accepting(accept));
    assertEquals(response.headers.get("content-type"), "application/problem+json");
  });
}

for (const accept of [BROWSER, "text/html", "text/*", "text/html;q=0.9, application/json;q=0.1"]) {
  Deno.test(`a client that accepts ${accept} gets a page`, async () => {
    const response = problem(error("upstream_failed"), accepting(accept));
    assertEquals(response.status, 502);
    assertEquals(response.headers.get("content-type"), "text/html; charset=utf-8");
    assertEquals(response.headers.get("cless-error"), "upstream_failed");
    const page = await response.text();
    assertStringIncludes(page, "<title>502 Bad Gateway</title>");
    assertStringIncludes(page, "<h1>502 Bad Gateway</h1>");
    assertStringIncludes(page, "The service did not answer.");
    assertStringIncludes(page, "upstream_failed");
    assert(!page.includes("{{"), page);
  });
}

Deno.test("the detail and the cause of an error stay out of the answer, whatever the client accepts", async () => {
  for (const accept of ["*/*", "text/html"]) {
    const response = problem(error("start_failed"), accepting(accept));
    assert(!(await response.text()).includes("secret"));
    assert(![...response.headers.values()].join().includes("secret"));
  }
});

for (const code of ["start_failed", "upstream_failed", "start_timeout", "upstream_timeout"] as const) {
  Deno.test(`the page of ${code} names the command that tells operators more, if the service is known`, async () => {
    const page = (service?: string) => problem(error(code), accepting("text/html"), service).text();
    assertStringIncludes(await page("shop"), "<code>cless describe shop</code>");
    assert(!(await page()).includes("describe"));
    assert(!(await page("shop")).includes("<!--"));
    const json = await problem(error(code), accepting(), "shop").text();
    assertEquals(json, await problem(error(code), accepting()).text());
  });
}

Deno.test("the page of a failure that is not the service's names no command", async () => {
  for (const code of ["bad_request", "unknown_host", "overloaded", "draining", "crash_loop", "internal"] as const) {
    assert(!(await problem(error(code), accepting("text/html"), "shop").text()).includes("describe"), code);
  }
});

Deno.test("a message cannot bring markup into the page", async () => {
  const response = problem(
    error("unknown_host", `No service for <img src=x onerror="a('b')"> & so on`),
    accepting("text/html"),
  );
  const page = await response.text();
  assert(!page.includes("<img"), page);
  assertStringIncludes(page, "&#60;img src=x onerror=&#34;a(&#39;b&#39;)&#34;&#62; &#38; so on");
});

Deno.test("a message that looks like a placeholder or a replacement pattern stays what it is", async () => {
  const response = problem(error("unknown_host", "{{ code }} $& $1"), accepting("text/html"));
  assertStringIncludes(await response.text(), "{{ code }} $&#38; $1");
});

Deno.test("Retry-After, Allow, WWW-Authenticate and Connection come where they belong", () => {
  const headers = (given: ClessError) => problem(given, accepting()).headers;
  assertEquals(headers(new ClessError("overloaded", "x", { retryAfterS: 7 })).get("retry-after"), "7");
  assertEquals(headers(error("overloaded")).get("retry-after"), null);
  assertEquals(headers(new ClessError("method_not_allowed", "x", { allow: "GET" })).get("allow"), "GET");
  assertEquals(headers(error("unauthorized")).get("www-authenticate"), null);
  const challenge = 'Bearer realm="cless"';
  assertEquals(headers(new ClessError("unauthorized", "x", { challenge })).get("www-authenticate"), challenge);
  assertEquals(headers(error("draining")).get("connection"), "close");
  assertEquals(headers(error("upstream_failed")).get("connection"), null);
});
