/// <reference lib="dom" />
import { assertEquals, assertStringIncludes } from "@std/assert";
import { OPEN } from "../../../src/model/access.ts";
import { barriers, browserTest } from "../../support/chromium.ts";
import { freePorts } from "../../support/free_ports.ts";
import { Harness } from "../../support/harness.ts";
import { CLIENT, OpenIdProvider } from "../../support/openid_provider.ts";
import { Origin } from "../../support/origin.ts";
import { signInParts } from "../../support/sign_in.ts";

const PAGE = "<!DOCTYPE html><html lang=en><title>app</title><main><h1>The app</h1></main>";
const ACCOUNTS = {
  alice: { preferred_username: "alice", groups: ["dev"] },
  bob: { preferred_username: "bob" },
};

interface Scene extends AsyncDisposable {
  readonly url: string;
  readonly app: Origin;
}

/** A service on localhost that only the group `dev` may use. */
async function newScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const port = freePorts(1);
  const url = `http://app.localhost:${port}`;
  const redirectUris = [`${url}/.well-known/cless/oidc/callback`];
  const { issuer } = stack.use(await OpenIdProvider.start({ accounts: ACCOUNTS, redirectUris }));
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${PAGE.length}\r\n\r\n${PAGE}`;
  const app = stack.use(Origin.answering(answer));
  const oidc = { issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: ["group:dev"] };
  stack.use(Harness.cold({
    ...{ origin: app, port },
    signIn: signInParts({ secrets: { value: () => Promise.resolve(CLIENT.clientSecret) } }),
    locked: { access: { ...OPEN, oidc } },
  }));
  const rest = stack.move();
  return { url, app, [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose]() };
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
