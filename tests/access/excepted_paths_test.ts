import { assert } from "@std/assert";
import fc from "fast-check";
import { ExceptedPaths } from "../../src/access/excepted_paths.ts";

const PATHS = new ExceptedPaths(["/health", "/webhooks/*", "/"]);

Deno.test("an excepted path has no lock, exactly as it is written, or with everything below it", () => {
  for (
    const target of [
      "/health",
      "/health?full=1",
      "/webhooks/",
      "/webhooks/github/push?x=/../%",
      "/webhooks/%41%c3%a9",
      "/",
      "/?a=b",
    ]
  ) {
    assert(PATHS.has(target), target);
  }
  for (const target of ["/health/", "/healthz", "/health/x", "/HEALTH", "/webhooks", "/webhooks2/x", "/x", "*"]) {
    assert(!PATHS.has(target), target);
  }
});

const TRICKS = [
  "/webhooks/../admin",
  "/webhooks/./x",
  "/webhooks/..",
  "/webhooks/%2e%2e/admin",
  "/webhooks/%2E./admin",
  "/webhooks/%252e%252e/admin",
  "/webhooks/..;/admin",
  "/webhooks/;x=/../admin",
  "/webhooks/x;jsessionid=1",
  "/webhooks/..%2fadmin",
  "/webhooks/..%5cadmin",
  "/webhooks/..\\admin",
  "/webhooks//admin",
  "//webhooks/x",
  "//health",
  "/./health",
  "/health/../admin",
  "/health;x=1",
  "/health%2f..%2fadmin",
  "/health%00",
  "/webhooks/a%0d%0ab",
  // No valid UTF-8: dots and slashes in more bytes than they need.
  "/webhooks/%c0%ae%c0%ae/admin",
  "/webhooks/..%C0%AFadmin",
  "/webhooks/%e0%80%ae%e0%80%ae/admin",
  "/webhooks/%u002e%u002e/admin",
  "/webhooks/%",
  "/webhooks/%2",
];

Deno.test("a path that apps may read in another way is never excepted", () => {
  for (const target of TRICKS) assert(!PATHS.has(target), target);
});

/** How lenient apps read a path: decoded up to twice, without parameters, backslashes as slashes, dots resolved. */
function leniently(target: string): Set<string> {
  const read = new Set<string>();
  let path = target.replace(/\?.*$/s, "");
  for (let time = 0; time < 3; time++) {
    for (const text of [path, path.replace(/;[^/]*/g, "")]) {
      const slashes = text.replaceAll("\\", "/");
      for (const form of [text, slashes, slashes.replace(/\/+/g, "/")]) {
        const stack: string[] = [];
        for (const segment of form.split("/")) {
          if (segment === "..") stack.pop();
          else if (segment !== ".") stack.push(segment);
        }
        read.add(stack.join("/") || "/");
      }
    }
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }
  return read;
}

Deno.test("however leniently an app reads an excepted path, it is below what was excepted", () => {
  const piece = fc.constantFrom(
    ...[
      "/",
      "//",
      "..",
      ".",
      "%2e",
      "%2E%2e",
      "%2f",
      "%5C",
      "\\",
      ";",
      ";a=b",
      "%25",
      "%252e",
      "%3b",
      "%00",
      "webhooks",
    ],
    ...["health", "admin", "?", "a", "%41"],
  );
  fc.assert(
    fc.property(fc.constantFrom("/webhooks/", "/health", "/"), fc.array(piece, { maxLength: 8 }), (start, pieces) => {
      const target = start + pieces.join("");
      if (!PATHS.has(target)) return;
      for (const path of leniently(target)) {
        assert(path === "/" || path === "/health" || path.startsWith("/webhooks/") || path === "/webhooks", target);
      }
    }),
    { numRuns: 3000 },
  );
});
