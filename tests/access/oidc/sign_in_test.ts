import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { GatedService } from "../../../src/access/gates.ts";
import { CallbackHost } from "../../../src/access/oidc/callback_host.ts";
import { type OidcSettings, OPEN } from "../../../src/model/access.ts";
import { HASH } from "../kit.ts";
import { Browser } from "../../support/browser.ts";
import { deafUrl, freePorts } from "../../support/free_ports.ts";
import { Harness, type HarnessOptions } from "../../support/harness.ts";
import { CLIENT, type OpenIdOptions, OpenIdProvider } from "../../support/openid_provider.ts";
import { Origin } from "../../support/origin.ts";
import { noEnv, noNet } from "../../support/permissions.ts";
import { type SignInOptions, signInParts } from "../../support/sign_in.ts";

const APP = "https://app.example.org";
const CALLBACK = "/.well-known/cless/oidc/callback";
const SIGN_OUT = "/.well-known/cless/oidc/sign-out";
const SESSION = "__Host-cless-session";
const ATTEMPT = "__Host-cless-attempt-…";

const ACCOUNTS = {
  alice: { preferred_username: "alice", email: "alice@example.org", email_verified: true, groups: ["dev", "ops"] },
  bob: { preferred_username: "bob", email: "bob@example.net", email_verified: true },
  eve: { preferred_username: "eve", email: "eve@example.org", email_verified: false },
};

interface Scene {
  readonly app: Origin;
  readonly harness: Harness;
  readonly provider: OpenIdProvider;
  readonly browser: Browser;
  readonly time: { now: number };
  /** Another cless with the same key. */
  again(options?: SignInOptions, own?: Partial<GatedService>): Harness;
}

interface SceneOptions extends Partial<OpenIdOptions> {
  readonly oidc?: Partial<OidcSettings>;
  readonly callbackHost?: string;
  readonly harness?: Partial<HarnessOptions>;
}

/** A service with sign-in, a real provider, and a browser. */
function signInTest(name: string, options: SceneOptions, fn: (scene: Scene) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noEnv || noNet,
    // The provider keeps timers of its own.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const { callbackHost, oidc, harness: more, ...given } = options;
      const redirectUris = [APP, "https://other.example.org", "https://auth.example.org", "http://app.localhost"]
        .map((origin) => origin + CALLBACK);
      await using provider = await OpenIdProvider.start({ accounts: ACCOUNTS, redirectUris, ...given });
      await using app = Origin.answering();
      const time = { now: Date.now() };
      await using stack = new AsyncDisposableStack();
      const again = (parts: SignInOptions = {}, own: Partial<GatedService> = {}) => {
        const signIn = signInParts({ callbackHost, now: () => time.now, ...parts });
        return stack.use(Harness.cold({
          origin: app,
          trustedProxies: ["127.0.0.1/32"],
          signIn,
          domains: ["other.example.org"],
          ...callbackHost === undefined ? {} : { callbackHost: new CallbackHost(callbackHost, signIn) },
          locked: {
            access: {
              ...OPEN,
              oidc: {
                issuer: provider.issuer,
                clientId: CLIENT.clientId,
                clientSecret: "secret:idp",
                allow: [],
                ...oidc,
              },
            },
            ...own,
          },
          ...more,
        }));
      };
      const secrets = { value: (name: string) => Promise.resolve(name === "idp" ? `${CLIENT.clientSecret}\n` : "?") };
      const harness = again({ secrets });
      await fn({
        ...{ app, harness, provider, time },
        browser: new Browser(harness.port),
        again: (parts, own) => again({ secrets, ...parts }, own),
      });
    },
  });
}

/** The values of the headers by which the app learns who asks. */
function identity(app: Origin): (string | undefined)[] {
  const request = app.requests.at(-1)!;
  return ["x-auth-user", "x-auth-email", "x-auth-groups", "cookie"].map((name) => request.one(name));
}

signInTest(
  "a person signs in, and comes back to where the browser was going",
  {},
  async ({ app, browser, harness }) => {
    const { answer, url, way } = await browser.open(`${APP}/shop/cart?id=7&to=//evil.example`, "alice");
    assertEquals([answer.status, url.href], [200, `${APP}/shop/cart?id=7&to=//evil.example`]);
    assertEquals(identity(app), ["alice", "alice@example.org", "dev,ops", undefined]);
    assertEquals(app.requests.length, 1);
    assertEquals(browser.names("app.example.org"), [SESSION]);
    const authorization = new URL(way[1]!).searchParams;
    assertEquals(authorization.get("code_challenge_method"), "S256");
    assertEquals(authorization.get("redirect_uri"), APP + CALLBACK);
    assertEquals(authorization.get("scope"), "openid profile email groups");
    for (const name of ["state", "nonce", "code_challenge"]) assert(authorization.get(name)!.length >= 43, name);
    // From now on there is no way around.
    const next = await browser.send("GET", `${APP}/next`, ["x-auth-user: root", "X-Auth-Groups: admin"]);
    assertEquals([next.status, ...identity(app)], [200, "alice", "alice@example.org", "dev,ops", undefined]);
    assertEquals(harness.launcher.called("launch").length, 1);
  },
);

signInTest(
  "strangers wake nothing, and only a browser that opens a page is sent to the provider",
  {},
  async (scene) => {
    const { browser, harness, provider } = scene;
    const page = await browser.send("GET", `${APP}/`);
    assertEquals([page.status, page.one("cache-control")], [303, "no-store"]);
    assertMatch(
      page.one("set-cookie")!,
      /^__Host-cless-attempt-[\w-]+=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    );
    const others: [method: string, headers: string[]][] = [
      ["GET", []],
      ["GET", ["accept: */*"]],
      ["GET", ["accept: application/json"]],
      ["GET", ["accept: text/html", "sec-fetch-mode: cors"]],
      ["GET", ["accept: image/png", "sec-fetch-mode: no-cors"]],
      ["POST", ["accept: text/html", "sec-fetch-mode: navigate"]],
      ["HEAD", ["accept: text/html"]],
      ["GET", [
        ...["accept: text/html", "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"],
        `sec-websocket-key: ${btoa("a".repeat(16))}`,
      ]],
    ];
    for (const [method, headers] of others) {
      const answer = await browser.send(method, `${APP}/api`, headers);
      const got = [answer.status, answer.one("cless-error"), answer.one("location"), answer.all("set-cookie")];
      assertEquals(got, [401, "unauthorized", undefined, []], `${method} ${headers}`);
    }
    assertEquals(harness.launcher.calls, []);
    assertEquals(provider.requests, ["/.well-known/openid-configuration"]);
  },
);

signInTest("two tabs that were opened at once both get where they were going", {}, async ({ app, browser }) => {
  const first = await browser.send("GET", `${APP}/one`);
  const second = await browser.send("GET", `${APP}/two`);
  assertEquals(browser.names("app.example.org"), [ATTEMPT, ATTEMPT]);
  assertEquals((await browser.open(second.one("location")!, "alice")).url.pathname, "/two");
  assertEquals((await browser.open(first.one("location")!, "alice")).url.pathname, "/one");
  assertEquals(app.requests.map(({ target }) => target), ["/two", "/one"]);
  assertEquals(browser.names("app.example.org"), [SESSION]);
});

signInTest("a browser has the cookies of the last five sign-ins at most", {}, async ({ browser, time }) => {
  for (let tab = 0; tab < 8; tab++) {
    time.now++;
    await browser.send("GET", `${APP}/${tab}`);
  }
  assertEquals(browser.names("app.example.org").length, 5);
});

signInTest("only the browser that has begun a sign-in can end it, once", {}, async ({ app, browser, harness }) => {
  const begun = await browser.send("GET", `${APP}/`);
  const away = await browser.open(begun.one("location")!);
  away.url.searchParams.set("as", "alice");
  // Up to where the provider sends it back.
  let url = away.url;
  while (url.pathname !== CALLBACK) url = new URL((await browser.send("GET", url)).one("location")!, url);
  const thief = new Browser(harness.port);
  const stolen = await thief.send("GET", url);
  assertEquals([stolen.status, stolen.one("cless-error"), stolen.all("set-cookie")], [400, "bad_request", []]);
  for (const change of [{ state: "" }, { state: "x" }, { state: url.searchParams.get("state")!.slice(0, -2) + "AA" }]) {
    const other = new URL(url);
    for (const [name, value] of Object.entries(change)) other.searchParams.set(name, value);
    assertEquals((await browser.send("GET", other)).status, 400, JSON.stringify(change));
  }
  const wrongCode = new URL(url);
  wrongCode.searchParams.set("code", "another");
  assertEquals((await browser.send("GET", wrongCode)).status, 502);
  const wrongIssuer = new URL(url);
  wrongIssuer.searchParams.set("iss", "https://evil.example");
  assertEquals((await browser.send("GET", wrongIssuer)).status, 502);
  const cookies = new Map(browser.cookies.get("app.example.org"));
  const done = await browser.send("GET", url);
  assertEquals([done.status, done.one("location")], [303, `${APP}/`]);
  // Back in the browser, and then with the cookies of before.
  assertEquals((await browser.send("GET", url)).one("location"), `${APP}/`);
  browser.cookies.set("app.example.org", cookies);
  const replayed = await browser.send("GET", url);
  assertEquals([replayed.status, replayed.all("set-cookie"), app.requests], [502, [], []]);
});

signInTest("a sign-in that takes longer than 10 minutes has to be begun again", {}, async ({ browser, time }) => {
  const begun = await browser.send("GET", `${APP}/`);
  time.now += 600_000;
  const { answer } = await browser.open(begun.one("location")!, "alice");
  assertEquals([answer.status, answer.one("cless-error")], [400, "bad_request"]);
  assertStringIncludes(answer.text, 'href="/"');
  assertEquals((await browser.open(`${APP}/`, "alice")).answer.status, 200);
});

signInTest("a session ends after 12 hours, and the provider is asked again without a question", {}, async (scene) => {
  const { app, browser, time } = scene;
  await browser.open(`${APP}/`, "alice");
  const kept = new Map(browser.cookies.get("app.example.org"));
  time.now += 12 * 3_600_000 - 1;
  assertEquals((await browser.send("GET", `${APP}/`)).status, 200);
  time.now += 1;
  assertEquals((await browser.send("GET", `${APP}/`, [])).status, 401);
  const { answer, way } = await browser.open(`${APP}/again`);
  assertEquals([answer.status, app.requests.at(-1)!.target], [200, "/again"]);
  assert(way.every((url) => !url.includes("as=")), way.join(" "));
  assertNotEquals(browser.cookies.get("app.example.org")!.get(SESSION), kept.get(SESSION));
});

signInTest("a session outlives a restart of cless, but not another key", {}, async ({ again, browser }) => {
  await browser.open(`${APP}/`, "alice");
  const cookies = browser.cookies;
  for (const [key, status] of [[1, 200], [2, 401]] as const) {
    const next = new Browser(again({ key }).port);
    for (const [host, jar] of cookies) next.cookies.set(host, new Map(jar));
    assertEquals((await next.send("GET", `${APP}/`, [])).status, status);
  }
});

signInTest("a cookie that was changed, or is for another service, address or client, is none", {}, async (scene) => {
  const { browser, harness } = scene;
  await browser.open(`${APP}/`, "alice");
  const session = browser.cookies.get("app.example.org")!.get(SESSION)!;
  const ask = async (origin: string, value: string, name = SESSION) => {
    const other = new Browser(harness.port);
    other.cookies.set(new URL(origin).hostname, new Map([[name, value]]));
    return (await other.send("GET", `${origin}/`, [])).status;
  };
  assertEquals(await ask(APP, session), 200);
  for (let at = 0; at < session.length; at += 29) {
    const changed = session.slice(0, at) + (session[at] === "A" ? "B" : "A") + session.slice(at + 1);
    assertEquals(await ask(APP, changed), 401, `${at}`);
  }
  for (const text of ["", "A", session + "A", session.slice(0, -4), `"${session}"`]) {
    assertEquals(await ask(APP, text), 401, text);
  }
  assertEquals(await ask("https://other.example.org", session), 401); // the same service at another address
  assertEquals(await ask("http://app.localhost", session, "cless-session"), 401);
  assertEquals(await ask(APP, session, "cless-session"), 401); // a name that other hosts could set
  const attempt = await browser.send("GET", "https://other.example.org/");
  const [, sealed] = /=([\w-]+);/.exec(attempt.one("set-cookie")!)!;
  assertEquals(await ask(APP, sealed!), 401);
});

signInTest(
  "a session is for one service, one provider and one client of it",
  {},
  async ({ again, browser, provider }) => {
    await browser.open(`${APP}/`, "alice");
    const oidc = { issuer: provider.issuer, clientId: CLIENT.clientId, allow: [] };
    const services: [own: Partial<GatedService>, status: number][] = [
      [{ access: { ...OPEN, oidc } }, 200],
      [{ access: { ...OPEN, oidc }, name: "shop" }, 401],
      [{ access: { ...OPEN, oidc: { ...oidc, clientId: "another" } } }, 401],
      [{ access: { ...OPEN, oidc: { ...oidc, issuer: "http://localhost:1" } } }, 401],
      // A change of who may enter counts at once.
      [{ access: { ...OPEN, oidc: { ...oidc, allow: ["group:dev"] } } }, 200],
      [{ access: { ...OPEN, oidc: { ...oidc, allow: ["group:owners"] } } }, 403],
    ];
    for (const [own, status] of services) {
      const next = new Browser(again({}, own).port);
      next.cookies.set("app.example.org", new Map(browser.cookies.get("app.example.org")));
      assertEquals((await next.send("GET", `${APP}/`, [])).status, status, JSON.stringify(own));
    }
  },
);

signInTest("addresses, domains and groups let people in, and an unverified address does not", {
  oidc: { allow: ["*@EXAMPLE.org", "bob@example.net"] },
}, async ({ app, harness }) => {
  for (const [name, status] of [["alice", 200], ["bob", 200], ["eve", 403]] as const) {
    const browser = new Browser(harness.port);
    const { answer } = await browser.open(`${APP}/`, name);
    assertEquals(answer.status, status, name);
    if (status === 200) continue;
    assertEquals(answer.one("cless-error"), "forbidden");
    assertStringIncludes(answer.text, "signed in as eve");
    assertStringIncludes(answer.text, `action="${SIGN_OUT}"`);
    assertEquals((await browser.send("GET", `${APP}/`, [])).status, 403);
  }
  assertEquals(app.requests.length, 2);
});

signInTest("a group lets its members in", { oidc: { allow: ["group:ops"] } }, async ({ harness }) => {
  for (const [name, status] of [["alice", 200], ["bob", 403]] as const) {
    assertEquals((await new Browser(harness.port).open(`${APP}/`, name)).answer.status, status, name);
  }
});

signInTest("who calls off at the provider gets a page, and no session", {}, async ({ app, browser }) => {
  const { answer } = await browser.open(`${APP}/`, "nobody");
  assertEquals([answer.status, answer.one("cless-error")], [403, "forbidden"]);
  assertStringIncludes(answer.text, "access_denied");
  assertEquals([browser.names("app.example.org"), app.requests], [[ATTEMPT], []]);
});

signInTest("signing out ends the session here, and leads to the provider", {}, async ({ browser, provider }) => {
  await browser.open(`${APP}/`, "alice");
  const page = await browser.send("GET", APP + SIGN_OUT);
  assertEquals([page.status, page.all("set-cookie")], [200, []]);
  assertStringIncludes(page.text, "signed in as alice");
  assertStringIncludes(page.one("content-security-policy")!, "frame-ancestors 'none'");
  const strangers = [
    ["sec-fetch-site: cross-site", "origin: https://evil.example"],
    ["sec-fetch-site: same-site", "origin: https://other.example.org"],
    ["origin: https://evil.example"],
    ["origin: null"],
  ];
  for (const headers of strangers) {
    const answer = await browser.send("POST", APP + SIGN_OUT, headers);
    assertEquals([answer.status, answer.all("set-cookie")], [403, []], headers.join());
  }
  const form = ["origin: https://app.example.org", "sec-fetch-site: same-origin"];
  const answer = await browser.send("POST", APP + SIGN_OUT, form);
  assertEquals(answer.status, 303);
  const { origin, pathname, searchParams } = new URL(answer.one("location")!);
  assertEquals([origin, pathname, searchParams.get("client_id")], [provider.issuer, "/session/end", CLIENT.clientId]);
  assertEquals((await browser.send("GET", `${APP}/`, [])).status, 401);
  assertStringIncludes((await browser.send("GET", APP + SIGN_OUT)).text, "not signed in");
  assertEquals((await browser.send("PUT", APP + SIGN_OUT)).one("allow"), "GET, POST");
});

signInTest("no target leads a browser to another site after its sign-in", {
  harness: { forward: "exact" },
}, async ({ harness }) => {
  const targets = [
    "//evil.example/x",
    "/\\evil.example",
    "/%5cevil.example",
    "/@evil.example",
    "/.evil.example",
    "/:8080",
  ];
  for (const target of targets) {
    const browser = new Browser(harness.port);
    const begun = await harness.ask(
      `GET ${target} HTTP/1.1\r\nhost: app.example.org\r\nx-forwarded-proto: https\r\naccept: text/html\r\n\r\n`,
    );
    const [name, value] = begun.one("set-cookie")!.split(";")[0]!.split("=");
    browser.cookies.set("app.example.org", new Map([[name!, value!]]));
    const { way } = await browser.open(begun.one("location")!, "alice");
    const last = new URL(way.at(-1)!);
    assertEquals(last.origin, APP, `${target} ${last}`);
  }
});

signInTest("a long target does not make a cookie that browsers refuse", {}, async ({ app, browser }) => {
  await browser.open(`${APP}/list?q=${"x".repeat(6000)}`, "alice");
  assertEquals(app.requests.at(-1)!.target, "/list");
});

signInTest("over plain HTTP nobody signs in, except on localhost", {}, async ({ browser, harness, provider }) => {
  const plain = await browser.send("GET", "http://app.example.org/");
  assertEquals([plain.status, plain.one("cless-error"), plain.all("set-cookie")], [403, "forbidden", []]);
  assertStringIncludes(plain.text, "HTTPS");
  const local = await browser.send("GET", `http://app.localhost:${harness.port}/`);
  assertEquals(local.status, 303);
  assertMatch(local.one("set-cookie")!, /^cless-attempt-[\w-]+=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/);
  const redirectUri = new URL(local.one("location")!).searchParams.get("redirect_uri");
  assertEquals(redirectUri, `http://app.localhost:${harness.port}${CALLBACK}`);
  assertEquals(provider.requests.length, 1);
});

signInTest("at a name that only its owner knows, nobody is sent to the provider", {
  callbackHost: "auth.example.org",
}, async ({ browser, provider }) => {
  for (const host of ["app.evil.example", "app.example.org.evil.example", "app.sub.example.org"]) {
    const answer = await browser.send("GET", `https://${host}/`);
    assertEquals([answer.status, answer.one("cless-error"), answer.all("set-cookie")], [403, "forbidden", []], host);
  }
  assertEquals(provider.requests, []);
  // Nor to a port that the client has chosen.
  const answer = await browser.send("GET", `${APP}:8443/`);
  const { searchParams } = new URL(answer.one("location")!);
  assertEquals(searchParams.get("redirect_uri"), `https://auth.example.org${CALLBACK}`);
});

signInTest("one host takes all browsers back from the provider, and sends them on to their services", {
  callbackHost: "auth.example.org",
}, async ({ app, browser, harness }) => {
  const { answer, way } = await browser.open(`${APP}/cart`, "alice");
  assertEquals([answer.status, identity(app)[0]], [200, "alice"]);
  const back = way.findIndex((url) => url.startsWith(`https://auth.example.org${CALLBACK}?`));
  assert(back > 0, way.join(" "));
  assert(way[back + 1]!.startsWith(`${APP}/.well-known/cless/oidc/finish?`), way[back + 1]);
  assertEquals([browser.names("auth.example.org"), browser.names("app.example.org")], [[], [SESSION]]);
  // A thief with the whole address gets nothing, and neither does one with a state of no cless.
  const thief = new Browser(harness.port);
  assertEquals((await thief.open(way[back]!)).answer.status, 400);
  const forged = new URL(way[back]!);
  forged.searchParams.set("state", btoa(JSON.stringify({ origin: "https://evil.example" })));
  const refused = await browser.send("GET", forged);
  assertEquals([refused.status, refused.one("location")], [400, undefined]);
  const posted = await browser.send("POST", way[back]!);
  assertEquals([posted.status, posted.one("allow")], [405, "GET"]);
  // All else on that host is as anywhere.
  assertEquals((await browser.send("GET", "https://auth.example.org/")).one("cless-error"), "unknown_host");
});

signInTest("the host of all services may be that of a service", { callbackHost: "app.example.org" }, async (scene) => {
  assertEquals((await scene.browser.open(`${APP}/cart`, "alice")).answer.status, 200);
});

for (const authMethod of ["client_secret_post", "none"] as const) {
  signInTest(`a client proves itself by ${authMethod}`, {
    authMethod,
    configuration: { clientAuthMethods: [authMethod] },
    ...authMethod === "none" ? { oidc: { clientSecret: undefined } } : {},
  }, async ({ browser }) => {
    assertEquals((await browser.open(`${APP}/`, "alice")).answer.status, 200);
  });
}

signInTest("a wrong secret of the client lets nobody in", {}, async ({ again, app }) => {
  const browser = new Browser(again({ secrets: { value: () => Promise.resolve("wrong") } }).port);
  const { answer } = await browser.open(`${APP}/`, "alice");
  assertEquals([answer.status, answer.one("cless-error"), app.requests], [502, "upstream_failed", []]);
});

Deno.test({
  name: "a provider that is away lets nobody new in, is not asked by each stranger, and those who are in stay",
  ignore: noEnv || noNet,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const port = freePorts(1);
    let nowMs = 0;
    const clock = { now: () => nowMs, after: () => () => {} };
    const secrets = { value: () => Promise.resolve(CLIENT.clientSecret) };
    const oidc = {
      issuer: `http://127.0.0.1:${port}`,
      clientId: CLIENT.clientId,
      clientSecret: "secret:idp",
      allow: [],
    };
    await using app = Origin.answering();
    await using harness = Harness.cold({
      ...{ origin: app, trustedProxies: ["127.0.0.1/32"], signIn: signInParts({ clock, secrets }) },
      locked: { access: { ...OPEN, oidc } },
    });
    const [browser, late] = [new Browser(harness.port), new Browser(harness.port)];
    const away = await browser.open(`${APP}/`);
    assertEquals([away.answer.status, away.answer.one("cless-error")], [502, "upstream_failed"]);
    {
      await using provider = await OpenIdProvider.start({ accounts: ACCOUNTS, redirectUris: [APP + CALLBACK], port });
      // Not yet, since it has just failed.
      assertEquals((await browser.open(`${APP}/`)).answer.status, 502);
      assertEquals(provider.requests, []);
      nowMs += 1000;
      assertEquals((await browser.open(`${APP}/`, "alice")).answer.status, 200);
      assertEquals((await late.send("GET", `${APP}/`)).status, 303);
      assertEquals(provider.requests.filter((path) => path.includes("openid-configuration")).length, 1);
    }
    assertEquals((await browser.send("GET", `${APP}/`)).status, 200);
    // What is known of it is used, also when it is old.
    nowMs += 3_600_000;
    assertEquals((await late.send("GET", `${APP}/`)).status, 303);
  },
});

signInTest(
  "beside passwords, browsers are sent to the provider, and programs may use a password",
  {},
  async (scene) => {
    const { again, app, provider } = scene;
    const basic = { alice: HASH };
    const oidc = { issuer: provider.issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: [] };
    const browser = new Browser(again({}, { access: { ...OPEN, basic, oidc } }).port);
    assertEquals((await browser.send("GET", `${APP}/`)).status, 303);
    const asked = await browser.send("GET", `${APP}/`, []);
    assertEquals([asked.status, asked.one("www-authenticate")?.split(" ")[0]], [401, "Basic"]);
    const known = await browser.send("GET", `${APP}/`, [`authorization: Basic ${btoa("alice:open sesame")}`]);
    assertEquals([known.status, app.requests.at(-1)!.one("x-auth-user")], [200, "alice"]);
    assertEquals((await browser.open(`${APP}/`, "bob")).answer.status, 200);
    assertEquals(app.requests.at(-1)!.one("x-auth-user"), "bob");
  },
);

signInTest("where nobody can sign in, a browser is asked for a password", {}, async (scene) => {
  const { again, provider } = scene;
  const basic = { alice: HASH };
  const oidc = { issuer: provider.issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: [] };
  const away = { ...oidc, issuer: deafUrl() };
  for (const [origin, settings] of [["http://app.example.org", oidc], [APP, away]] as const) {
    const browser = new Browser(again({}, { access: { ...OPEN, basic, oidc: settings } }).port);
    const answer = await browser.send("GET", `${origin}/`);
    assertEquals([answer.status, answer.one("www-authenticate")?.split(" ")[0]], [401, "Basic"], origin);
  }
});

signInTest("while the server that forward asks is away, a session lets in all the same", {}, async (scene) => {
  const { again, app, provider } = scene;
  const oidc = { issuer: provider.issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: [] };
  const browser = new Browser(again({}, { access: { ...OPEN, forward: { url: deafUrl(), headers: [] }, oidc } }).port);
  assertEquals((await browser.send("GET", `${APP}/`, [])).status, 502);
  assertEquals((await browser.open(`${APP}/`, "alice")).answer.status, 200);
  assertEquals(app.requests.at(-1)!.one("x-auth-user"), "alice");
});

signInTest(
  "excepted paths and allowed addresses need no sign-in, and their app sees no cookie of cless",
  {},
  async (scene) => {
    const { again, app, browser, provider } = scene;
    const oidc = { issuer: provider.issuer, clientId: CLIENT.clientId, clientSecret: "secret:idp", allow: [] };
    await browser.open(`${APP}/`, "alice");
    browser.cookies.get("app.example.org")!.set("own", "1");
    for (const access of [{ ...OPEN, oidc, except: ["/open"] }, { ...OPEN, oidc, allow: ["127.0.0.1"] }]) {
      const next = new Browser(again({}, { access }).port);
      for (const [host, jar] of browser.cookies) next.cookies.set(host, new Map(jar));
      assertEquals((await next.send("GET", `${APP}/open`, ["x-auth-user: root"])).status, 200);
      assertEquals([app.requests.at(-1)!.one("cookie"), app.requests.at(-1)!.one("x-auth-user")], ["own=1", undefined]);
      // The paths of cless answer there too, and never the app.
      const count = app.requests.length;
      for (const path of [CALLBACK, "/.well-known/cless/oidc/finish"]) {
        assertEquals((await next.send("GET", `${APP}${path}?state=x`)).one("location"), `${APP}/`);
      }
      assertEquals(app.requests.length, count);
    }
  },
);
