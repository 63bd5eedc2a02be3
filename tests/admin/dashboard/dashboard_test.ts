import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { Dashboard } from "../../../src/admin/dashboard/dashboard.ts";
import { FILES } from "../../../src/admin/dashboard/files.ts";
import { noRead } from "../../support/permissions.ts";
import { ROOT } from "../../support/sources.ts";
import { newAdmin, problemOf } from "../kit.ts";

const HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/** What all of the dashboard may weigh on its way to a browser, bytes. */
const MAX_BYTES = 90_000;
const NAMES = [...FILES.keys()].map((name) => name === "index.html" ? "/" : `/ui/${name}`);

/** Asks as Chromium does that has not signed in, on the machine of cless or over HTTPS. */
async function newBrowser() {
  const { ask } = await newAdmin();
  return (path: string, headers: Record<string, string> = {}, method = "GET") =>
    ask(method, path, {
      token: undefined,
      headers: { accept: HTML, "accept-encoding": "gzip, deflate, br, zstd", ...headers },
    });
}

async function decompressed(answer: Response): Promise<string> {
  const bytes = await answer.bytes();
  const decompress = answer.headers.get("content-encoding") === "br" ? brotliDecompressSync : gunzipSync;
  return decompress(bytes).toString();
}

Deno.test("a browser gets the page at the root without a token, and every other client what it got before", async () => {
  const get = await newBrowser();
  const page = await get("/", { "accept-encoding": "identity" });
  assertEquals([page.status, page.headers.get("content-type")], [200, "text/html;charset=UTF-8"]);
  assert((await page.text()).startsWith("<!DOCTYPE html>"));
  for (const accept of ["*/*", "application/json", "application/json, text/html;q=0.5"]) {
    await problemOf(await get("/", { accept }), 401, "unauthorized");
  }
  await problemOf(await get("/", {}, "POST"), 401, "unauthorized");
});

Deno.test("every file is served without a token, with its type and a policy that lets nothing in from elsewhere", async () => {
  const get = await newBrowser();
  const types = { css: "text/css", html: "text/html", js: "text/javascript", svg: "image/svg+xml" };
  for (const path of NAMES) {
    const { body, headers, status } = await get(path);
    const ending = path === "/" ? "html" : path.slice(path.lastIndexOf(".") + 1);
    const type = headers.get("content-type")?.replace(/;.*/, "");
    assertEquals([status, type], [200, types[ending as keyof typeof types]], path);
    assertEquals(
      headers.get("content-security-policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("referrer-policy"), "no-referrer");
    assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
    await body?.cancel();
  }
});

Deno.test("the bodies of all files together have at most 90,000 bytes, in Brotli as browsers get them", async () => {
  const get = await newBrowser();
  let sum = 0;
  for (const path of NAMES) sum += (await (await get(path)).bytes()).length;
  assert(sum <= MAX_BYTES, `${sum} bytes`);
});

Deno.test("a file is the same in each encoding, and a browser that has it does not get it again", async () => {
  const get = await newBrowser();
  for (const path of NAMES) {
    const plain = await get(path, { "accept-encoding": "" });
    assertEquals(plain.headers.get("content-encoding"), null);
    const etag = plain.headers.get("etag")!;
    const text = await plain.text();
    assertEquals(plain.headers.get("content-length"), String(new TextEncoder().encode(text).length));
    // Browsers take no Brotli over HTTP from other machines.
    for (
      const [accepted, encoding] of [["gzip, deflate, br", "br"], ["gzip, deflate", "gzip"], ["br;q=0, gzip", "gzip"]]
    ) {
      const smaller = await get(path, { "accept-encoding": accepted! });
      assertEquals([smaller.headers.get("content-encoding"), smaller.headers.get("etag")], [encoding, etag]);
      assertEquals(await decompressed(smaller), text);
    }
    for (const known of [etag, etag.slice(2), `"x", ${etag}`, "*"]) {
      const again = await get(path, { "if-none-match": known });
      assertEquals([again.status, again.body, again.headers.get("etag")], [304, null, etag]);
    }
    const changed = await get(path, { "if-none-match": '"x"' });
    assertEquals(changed.status, 200);
    await changed.body?.cancel();
    assert(plain.headers.get("vary")?.includes("accept-encoding"));
  }
});

Deno.test("HEAD tells what GET would, other methods and other names are refused", async () => {
  const get = await newBrowser();
  const head = await get("/ui/app.js", { "accept-encoding": "identity" }, "HEAD");
  assertEquals([head.status, head.body], [200, null]);
  assertEquals(head.headers.get("content-length"), String(new TextEncoder().encode(FILES.get("app.js")).length));
  for (const method of ["POST", "PUT", "DELETE"]) {
    const answer = await get("/ui/app.js", {}, method);
    assertEquals(answer.headers.get("allow"), "GET, HEAD");
    await problemOf(answer, 405, "method_not_allowed");
  }
  for (const name of ["", "nosuch.js", "index.html", "..%2ffiles.ts", "lib", "lib/", "APP.JS"]) {
    await problemOf(await get(`/ui/${name}`), 404, "not_found");
  }
});

Deno.test("pages of other sites, and pages by foreign names of this machine, get nothing", async () => {
  const get = await newBrowser();
  for (const path of ["/", "/ui/app.js"]) {
    await problemOf(await get(path, { host: "evil.example" }), 403, "forbidden");
    await problemOf(await get(path, { origin: "https://evil.example" }), 403, "forbidden");
  }
});

Deno.test("the files are loaded when one of them is asked for, and compressed once", async () => {
  let loads = 0;
  const dashboard = new Dashboard(() => {
    loads++;
    return Promise.resolve(new Map([["index.html", "<p>"], ["app.js", "go()"]]));
  });
  const ask = (path: string, method = "GET") =>
    dashboard.answer({ method, headers: new Headers({ accept: HTML }) }, { host: "localhost", path, query: "" });
  for (const path of ["/v1/services", "/metrics", "/uix"]) assertEquals(await ask(path), undefined);
  assertEquals(await ask("/", "POST"), undefined);
  assertEquals(loads, 0);
  assertEquals(await (await ask("/"))?.text(), "<p>");
  assertEquals(await (await ask("/ui/app.js"))?.text(), "go()");
  assert(loads > 0);
});

Deno.test("a failure to load the files fails the request, and the next one tries again", async () => {
  let works = false;
  const dashboard = new Dashboard(() =>
    works ? Promise.resolve(new Map([["index.html", "<p>"]])) : Promise.reject(new TypeError("no such module"))
  );
  const ask = () =>
    dashboard.answer({ method: "GET", headers: new Headers({ accept: HTML }) }, { host: "", path: "/", query: "" })
      .then((answer) => answer?.status, (error) => error.message);
  assertEquals(await ask(), "no such module");
  works = true;
  assertEquals(await ask(), 200);
});

Deno.test("modules import each other and the libraries by paths that are served, and nothing else", () => {
  for (const [name, source] of FILES) {
    if (!name.endsWith(".js")) continue;
    const imports = source.matchAll(
      /^\s*(?:import|export)\b[^;"'`]*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm,
    );
    for (const [, from, alone] of imports) {
      const { pathname } = new URL((from ?? alone)!, `http://cless/ui/${name}`);
      assert(/^(?:\.{1,2}|\/ui)\//.test((from ?? alone)!), `${name} imports ${from ?? alone}`);
      assert(FILES.has(pathname.replace("/ui/", "")), `${name} imports ${pathname}`);
    }
  }
});

Deno.test("the page has no script or style of its own, and names only files that are served", () => {
  const page = FILES.get("index.html")!;
  assertEquals(page.match(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?:/g), null);
  const paths = [...page.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path!.replace("/ui/", ""));
  for (const path of paths) assert(FILES.has(path), path);
  for (const name of FILES.keys()) {
    if (name.endsWith(".js")) assert(paths.includes(name), `${name} is not loaded with the page`);
  }
});

Deno.test("no module makes elements of text, or code of it", () => {
  for (const [name, source] of FILES) {
    if (name.startsWith("lib/")) continue;
    const found = source.match(
      /\b(?:dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|eval|Function)\b|\bdocument\.write/,
    );
    assertEquals(found, null, name);
  }
});

Deno.test({
  name: "every file of the dashboard is served, and every module is checked",
  ignore: noRead,
  fn: async () => {
    const folder = new URL("src/admin/dashboard/ui/", ROOT);
    const read = async (below: string): Promise<void> => {
      for await (const { isDirectory, name } of Deno.readDir(new URL(below, folder))) {
        const path = `${below}${name}`.slice(2);
        if (isDirectory) {
          await read(`./${path}/`);
          continue;
        }
        assert(FILES.has(path), path);
        if (!name.endsWith(".js")) continue;
        assert((await Deno.readTextFile(new URL(path, folder))).startsWith("// @ts-check\n"), path);
      }
    };
    await read("./");
  },
});

Deno.test({
  name: "modules are served without comments, and with each line in its place",
  ignore: noRead,
  fn: async () => {
    for (const name of ["model/timeline.js", "screens/service_screen.js"]) {
      const source = (await Deno.readTextFile(new URL(`src/admin/dashboard/ui/${name}`, ROOT))).split("\n");
      const served = FILES.get(name)!.split("\n");
      assertEquals(served.length, source.length);
      assert(!served.some((line) => line.startsWith("/**")));
      for (const [at, line] of source.entries()) {
        if (/^(import|export|function|const) /.test(line)) assertEquals(served[at]?.slice(0, 12), line.slice(0, 12));
      }
    }
  },
});
