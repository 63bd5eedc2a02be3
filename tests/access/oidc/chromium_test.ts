/// <reference lib="dom" />
import { assertEquals, assertStringIncludes } from "@std/assert";
import { OPEN } from "../../../src/model/access.ts";
import { barriers, browserTest } from "../../support/chromium.ts";
import { freePorts } from "../../support/free_ports.ts";
import { Harness } from "../../support/harness.ts";
import { CLIENT, OpenIdProvider } from "../../support/openid_provider.ts";
import { Origin } from "../../support/origin.ts";
import { noRead } from "../../support/permissions.ts";
import { signInParts } from "../../support/sign_in.ts";
import { until } from "../../support/until.ts";

const PAGE = "<!DOCTYPE html><html lang=en><title>app</title><main><h1>The app</h1></main>";
const ACCOUNTS = {
  alice: { preferred_username: "alice", groups: ["dev"] },
  bob: { preferred_username: "bob" },
};

interface Scene extends AsyncDisposable {
  readonly url: string;
  readonly app: Origin;
}

/** A service on localhost that only the group `dev` may use; over HTTPS, Caddy is before it. */
async function newScene(caddy?: string): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const port = freePorts(2);
  const url = caddy === undefined ? `http://app.localhost:${port}` : `https://app.localhost:${port + 1}`;
  const redirectUris = [`${url}/.well-known/cless/oidc/callback`];
  const { issuer } = stack.use(await OpenIdProvider.start({ accounts: ACCOUNTS, redirectUris }));
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${PAGE.length}\r\n\r\n${PAGE}`;
  const app = stack.use(Origin.answering(answer));
  const oidc = { issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: ["group:dev"] };
  stack.use(Harness.cold({
    ...{ origin: app, port, trustedProxies: ["127.0.0.1"] },
    signIn: signInParts({ secrets: { value: () => Promise.resolve(CLIENT.clientSecret) } }),
    locked: { access: { ...OPEN, oidc } },
  }));
  if (caddy !== undefined) await startCaddy(stack, caddy, url, port);
  const rest = stack.move();
  return { url, app, [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose]() };
}

/** Starts Caddy with a certificate of its own authority. */
async function startCaddy(stack: AsyncDisposableStack, caddy: string, url: string, port: number): Promise<void> {
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const options = "admin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\ndefault_bind 127.0.0.1";
  await Deno.writeTextFile(`${folder}/Caddyfile`, `{\n${options}\n}\n${url} {\nreverse_proxy 127.0.0.1:${port}\n}\n`);
  const child = new Deno.Command(caddy, {
    args: ["run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  stack.defer(async () => {
    child.kill();
    await child.status;
  });
  const authority = `${folder}/caddy/pki/authorities/local/root.crt`;
  await until(() => greets(url, authority).catch(() => false));
}

/** Whether a server has its certificate. @throws While it has not. */
async function greets(url: string, authority: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const caCerts = [await Deno.readTextFile(authority)];
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  using tls = await Deno.startTls(connection, { hostname, caCerts });
  await tls.handshake();
  return true;
}

/** Says who one is, where the provider asks. */
function as(name: string): string {
  return `location.href += "?as=${name}"`;
}

browserTest("a person signs in on localhost, in two tabs at once, and signs out", {}, async ({ page }) => {
  await using scene = await newScene();
  const second = await page.context().newPage();
  await page.goto(`${scene.url}/first?a=b`);
  await second.goto(`${scene.url}/second`);
  for (const [tab, path] of [[second, "/second"], [page, "/first?a=b"]] as const) {
    await tab.evaluate(as("alice"));
    await tab.waitForURL(`${scene.url}${path}`);
    assertEquals(await tab.title(), "app");
  }
  const cookies = await page.context().cookies(scene.url);
  assertEquals(cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]), [
    ["cless-session", true, "Lax"],
  ]);
  assertEquals(await page.evaluate("document.cookie"), "");
  // What the app's own scripts ask for is let in too.
  assertEquals(await page.evaluate(`fetch("/api").then(({ status }) => status)`), 200);
  await page.goto(`${scene.url}/.well-known/cless/oidc/sign-out`);
  assertStringIncludes(await page.innerText("main"), "signed in as alice");
  assertEquals(await barriers(page), []);
  await page.click("button");
  await page.waitForURL(/\/session\/end/);
  assertEquals(await page.context().cookies(scene.url), []);
  await second.close();
});

browserTest("an account that may not enter can sign out, to come back as another one", {}, async ({ page }) => {
  await using scene = await newScene();
  await page.goto(`${scene.url}/`);
  await page.evaluate(as("bob"));
  await page.waitForURL(`${scene.url}/`);
  assertStringIncludes(await page.innerText("main"), "signed in as bob");
  assertEquals(await barriers(page), []);
  await page.click("button");
  await page.waitForURL(/\/session\/end/);
  // Without the provider's session, it asks again.
  await page.context().clearCookies();
  await page.goto(`${scene.url}/`);
  await page.evaluate(as("alice"));
  await page.waitForURL(`${scene.url}/`);
  assertEquals([await page.title(), scene.app.requests.at(-1)!.one("x-auth-user")], ["app", "alice"]);
});

const CADDY = "/usr/bin/caddy";

if (!noRead && await Deno.stat(CADDY).then(({ isFile }) => isFile, () => false)) {
  browserTest(
    "over HTTPS, a browser takes the cookies for this host alone",
    { ignoreHTTPSErrors: true },
    async ({ page }) => {
      await using scene = await newScene(CADDY);
      await page.goto(`${scene.url}/cart`);
      await page.evaluate(as("alice"));
      await page.waitForURL(`${scene.url}/cart`);
      assertEquals([await page.title(), scene.app.requests.at(-1)!.one("cookie")], ["app", undefined]);
      const cookies = await page.context().cookies(scene.url);
      assertEquals(cookies.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]), [
        ["__Host-cless-session", true, true, "Lax"],
      ]);
    },
  );
}
