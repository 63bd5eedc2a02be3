import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import type { Authenticator, Outcome } from "../../src/access/authenticator.ts";
import { Gate, type GateOptions } from "../../src/access/gate.ts";
import { Gates } from "../../src/access/gates.ts";
import { RateLimiter } from "../../src/access/rate_limiter.ts";
import { type AccessSettings, OPEN, type RequestLimits, UNLIMITED } from "../../src/model/access.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { signInParts } from "../support/sign_in.ts";
import { asked, basic, gated, HASH, OTHER_HASH, verdict } from "./kit.ts";

const FORWARD = { forward: { url: "http://auth/", headers: [] } };

/** A gate with these ways to prove who a client is. */
function gateWith(options: Partial<GateOptions> = {}): Gate {
  return new Gate({
    service: "app",
    access: OPEN,
    limits: UNLIMITED,
    maintenance: "",
    authenticators: [],
    rates: new RateLimiter(new FakeClock()),
    ...options,
  });
}

function answering(outcome: Outcome | Promise<Outcome>): Authenticator {
  return { headers: [], check: () => outcome };
}

function gateOf(access: Partial<AccessSettings>, others: Omit<Parameters<typeof gated>[0], "access"> = {}) {
  return new Gates({ clock: new FakeClock(), signIn: signInParts() }).of(gated({ ...others, access })).own;
}

Deno.test("a service without locks and limits has no gate", () => {
  const { own, ofTags } = new Gates({ clock: new FakeClock(), signIn: signInParts() }).of(gated({}));
  assertEquals([own, ofTags], [undefined, undefined]);
});

Deno.test("an address of allow passes, and others are refused if there is no other way", async () => {
  const gate = gateOf({ allow: ["203.0.113.0/24", "2001:db8::/32"] });
  for (
    const [client = "", expected] of [
      ...[["203.0.113.7", "pass"], ["2001:db8::1", "pass"], ["203.0.114.1", "forbidden"], ["::1", "forbidden"]],
      ...[["unknown", "forbidden"], ["", "forbidden"], ["2001:db9::1", "forbidden"]],
    ]
  ) assertEquals(await verdict(gate, asked({}, { client })), expected, client);
});

Deno.test("any one way lets a request pass, and an address of allow needs none", async () => {
  const gate = gateOf({ allow: ["203.0.113.7"], basic: { alice: HASH } });
  const right = { authorization: basic("alice", "open sesame") };
  assertEquals(await verdict(gate, asked({}, { client: "203.0.113.7" })), "pass");
  assertEquals(await verdict(gate, asked(right)), "pass");
  assertEquals(await verdict(gate, asked()), 401);
});

Deno.test("of several ways, the first that knows the client decides, and of refusals the last one counts", async () => {
  const access = { ...OPEN, ...FORWARD };
  const refusal = (status: number): Outcome => ({ response: new Response("no", { status }) });
  const cases: [outcomes: (Outcome | Promise<Outcome>)[], expected: string | number][] = [
    [[undefined, undefined], "forbidden"],
    [[refusal(401), undefined], 401],
    [[refusal(401), refusal(302)], 302],
    [[refusal(401), Promise.resolve(refusal(302))], 302],
    [[refusal(401), { identity: { user: "alice" } }], "pass"],
    [[Promise.resolve(refusal(401)), Promise.resolve({ identity: {} })], "pass"],
    [[{ identity: {} }, refusal(500)], "pass"],
  ];
  for (const [outcomes, expected] of cases) {
    const gate = gateWith({ access, authenticators: outcomes.map(answering) });
    assertEquals(await verdict(gate, asked()), expected);
  }
});

Deno.test("a known password is checked without waiting", async () => {
  const gate = gateOf({ basic: { alice: HASH } })!;
  const right = { authorization: basic("alice", "open sesame") };
  await gate.check(asked(right));
  assertEquals(gate.check(asked(right)), undefined);
});

Deno.test("a CORS preflight passes a lock, and nothing that only resembles one does", async () => {
  const gate = gateOf({ basic: { alice: HASH } });
  const preflight = { "origin": "https://example.org", "access-control-request-method": "POST" };
  const head = { method: "OPTIONS" };
  assertEquals(await verdict(gate, asked(preflight, head)), "pass");
  for (
    const [headers, changed] of [
      [preflight, { method: "GET" }],
      [preflight, { method: "options" }],
      [preflight, { ...head, target: "/?_method=DELETE" }],
      [{ origin: "https://example.org" }, head],
      [{ ...preflight, cookie: "a=b" }, head],
      [{ ...preflight, authorization: "Bearer x" }, head],
      [{ ...preflight, "x-http-method-override": "DELETE" }, head],
      [{ ...preflight, "X-HTTP-Method": "DELETE" }, head],
    ] as const
  ) assertEquals(await verdict(gate, asked(headers, changed)), 401);
  assertEquals(await verdict(gate, asked(preflight, head, {})), 401);
  assertEquals(await verdict(gate, asked(preflight, { ...head, bodyLength: undefined })), "pass");
});

Deno.test("where addresses alone open a lock, a preflight from another address does not pass", async () => {
  const preflight = { "origin": "https://example.org", "access-control-request-method": "POST" };
  const gate = gateOf({ allow: ["203.0.113.7"] });
  assertEquals(await verdict(gate, asked(preflight, { method: "OPTIONS" })), "forbidden");
  assertEquals(await verdict(gate, asked(preflight, { method: "OPTIONS", client: "203.0.113.7" })), "pass");
});

/** The names and values of the headers that an app gets. */
async function appHeaders(
  access: Partial<AccessSettings>,
  headers: Record<string, string>,
  head: Parameters<typeof asked>[1] = {},
) {
  const request = asked(headers, head);
  const gate = gateOf(access);
  assertEquals(await verdict(gate, request), "pass");
  return Object.fromEntries(request.head.headers.filter(([name]) => name !== "host"));
}

Deno.test("the app learns the user, and does not get the password unless pass says so", async () => {
  const authorization = basic("alice", "open sesame");
  const users = { basic: { alice: HASH } };
  assertEquals(await appHeaders(users, { authorization, accept: "*/*" }), { "accept": "*/*", "x-auth-user": "alice" });
  assertEquals(await appHeaders({ ...users, pass: true }, { authorization }), {
    authorization,
    "x-auth-user": "alice",
  });
  const zoe = { authorization: basic("Zoë", "pâss:wörd") };
  const bytes = new TextEncoder().encode("Zoë");
  assertEquals(await appHeaders({ basic: { "Zoë": OTHER_HASH } }, zoe), {
    "x-auth-user": Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""),
  });
});

Deno.test("with a lock by passwords, none reaches the app by another way in either, and other credentials do", async () => {
  const access = { allow: ["203.0.113.7"], basic: { alice: HASH }, except: ["/health"] };
  const ways = [{ client: "203.0.113.7" }, { target: "/health" }];
  for (const way of ways) {
    for (
      const text of [basic("alice", "open sesame"), basic("app", "own"), `Bearer x, ${basic("a", "b")}`, "basic x"]
    ) {
      assertEquals(await appHeaders(access, { authorization: text }, way), {});
      assertEquals(await appHeaders({ ...access, pass: true }, { authorization: text }, way), { authorization: text });
    }
    for (const text of ["Bearer token", 'Digest username="basic"', "Basics x"]) {
      assertEquals(await appHeaders(access, { authorization: text }, way), { authorization: text });
    }
    const text = basic("app", "own");
    const withoutBasic = { ...access, basic: {} };
    assertEquals(await appHeaders(withoutBasic, { authorization: text }, way), { authorization: text });
  }
});

Deno.test("with a lock, what clients say of themselves is dropped on every way in; without one, it passes", async () => {
  const claims = { "X-Auth-User": "root", "x-auth-email": "a@b", "X-AUTH-GROUPS": "admin", "x-original-url": "/admin" };
  const access = { allow: ["203.0.113.7"], except: ["/health"] };
  for (const way of [{ client: "203.0.113.7" }, { target: "/health" }]) {
    assertEquals(await appHeaders(access, claims, way), {});
  }
  const request = asked(claims);
  const open = gateWith({ limits: { per: "address", maxBody: 1 } });
  assertEquals(await verdict(open, request), "pass");
  assertEquals(request.head.headers.length, 5);
});

Deno.test("who a client is cannot be said with control characters", async () => {
  const identity = { user: "a\r\nx-auth-groups: admin", email: "a@b\0", groups: ["dev\n", "ops"] };
  const gate = gateWith({ access: { ...OPEN, ...FORWARD }, authenticators: [answering({ identity })] });
  const request = asked();
  assertEquals(await verdict(gate, request), "pass");
  assertEquals(request.head.headers.slice(1), [
    ["x-auth-user", "a  x-auth-groups: admin"],
    ["x-auth-email", "a@b "],
    ["x-auth-groups", "dev ,ops"],
  ]);
});

Deno.test("the rate of addresses counts before the lock, and that of the service after it", async () => {
  const access = { basic: { alice: HASH } };
  const right = { authorization: basic("alice", "open sesame") };
  const limits = (per: RequestLimits["per"]): RequestLimits => ({ requestsPerSecond: 1, burst: 2, per });
  const perAddress = gateOf(access, { limits: limits("address") });
  assertEquals([await verdict(perAddress, asked()), await verdict(perAddress, asked())], [401, 401]);
  assertEquals(await verdict(perAddress, asked(right)), "rate_limited");
  assertEquals(await verdict(perAddress, asked(right, { client: "192.0.2.2" })), "pass");
  const perService = gateOf(access, { limits: limits("service") });
  for (let time = 0; time < 5; time++) assertEquals(await verdict(perService, asked()), 401);
  assertEquals([await verdict(perService, asked(right)), await verdict(perService, asked(right))], ["pass", "pass"]);
  assertEquals(await verdict(perService, asked(right, { client: "192.0.2.2" })), "rate_limited");
});

Deno.test("without a burst, as many requests as there are in a second may come at once, at least one", async () => {
  for (const [requestsPerSecond, expected] of [[3, 3], [0.1, 1], [2.5, 2]] as const) {
    const gate = gateOf({}, { limits: { requestsPerSecond, per: "address" } });
    let passed = 0;
    while (await verdict(gate, asked()) === "pass") passed++;
    assertEquals(passed, expected);
  }
});

Deno.test("a body above maxBody is refused by its length, behind the lock", async () => {
  const limits: RequestLimits = { per: "address", maxBody: 100 };
  const gate = gateOf({}, { limits });
  const post = (bodyLength: number | undefined) => asked({}, { method: "POST", bodyLength });
  const verdicts = [0, 100, 101, Infinity, undefined].map((length) => verdict(gate, post(length)));
  assertEquals(await Promise.all(verdicts), ["pass", "pass", "too_large", "pass", "pass"]);
  assertEquals(await verdict(gateOf({ basic: { alice: HASH } }, { limits }), post(101)), 401);
});

Deno.test("during maintenance, everybody gets a 503 but the addresses of allow and who uses a tag's address", async () => {
  const gates = new Gates({ clock: new FakeClock(), signIn: signInParts() });
  const text = "Back at <b>14:00</b>\nor later";
  const { own, ofTags } = gates.of(
    gated({ maintenance: text, access: { allow: ["203.0.113.7"], except: ["/health"] } }),
  );
  const right = { authorization: basic("alice", "open sesame") };
  const preflight = { "origin": "https://example.org", "access-control-request-method": "POST" };
  for (
    const request of [asked(), asked(right), asked({}, { target: "/health" }), asked(preflight, { method: "OPTIONS" })]
  ) assertEquals(await verdict(own, request), 503);
  assertEquals(await verdict(own, asked({}, { client: "203.0.113.7" })), "pass");
  assertEquals(await verdict(ofTags, asked({}, { target: "/health" })), "pass");
  assertEquals(await verdict(ofTags, asked()), "forbidden");
  assertEquals(gates.of(gated({ maintenance: text })).ofTags, undefined);
});

Deno.test("the maintenance page shows the operator's text, escaped, and programs get problem+json", async () => {
  const text = "Back at <b>14:00</b>\nor later";
  const { own } = new Gates({ clock: new FakeClock(), signIn: signInParts() }).of(gated({ maintenance: text }));
  const page = await own!.check(asked({ accept: "text/html" })) as Response;
  const json = await own!.check(asked()) as Response;
  for (const { headers, status } of [page, json]) {
    assertEquals([status, headers.get("cless-error"), headers.get("cache-control")], [503, "maintenance", "no-store"]);
    assertEquals(headers.get("retry-after"), "60");
  }
  const html = await page.text();
  assertStringIncludes(html, "Back at &#60;b&#62;14:00&#60;/b&#62;\nor later");
  assertEquals(html.match(/\{\{|<script/), null);
  const nonce = /nonce-([^']+)'/.exec(page.headers.get("content-security-policy")!)![1]!;
  assertStringIncludes(html, `<style nonce="${nonce}">`);
  const { code, detail } = await json.json();
  assertEquals([code, detail], ["maintenance", text]);
});

Deno.test("a change of other settings keeps the gate, and one of the limits keeps known passwords", async () => {
  const gates = new Gates({ clock: new FakeClock(), signIn: signInParts() });
  const access = { basic: { alice: HASH } };
  const right = { authorization: basic("alice", "open sesame") };
  const first = gates.of(gated({ access })).own!;
  await first.check(asked(right));
  assertStrictEquals(gates.of(gated({ access: { basic: { alice: HASH } } })).own, first);
  const limited = gates.of(gated({ access, limits: { per: "address", maxBody: 5 } })).own!;
  assert(limited !== first);
  assertEquals(limited.check(asked(right)), undefined);
  const changed = gates.of(gated({ access: { basic: { alice: OTHER_HASH } } })).own!;
  assertEquals(await verdict(changed, asked(right)), 401);
  gates.forget("app");
  const again = gates.of(gated({ access })).own!;
  const pending = again.check(asked(right));
  assert(again !== first && pending instanceof Promise);
  await pending;
});

Deno.test("the requests of an address count across changes of the service", async () => {
  const gates = new Gates({ clock: new FakeClock(), signIn: signInParts() });
  const limits: RequestLimits = { requestsPerSecond: 1, burst: 1, per: "address" };
  assertEquals(await verdict(gates.of(gated({ limits })).own, asked()), "pass");
  assertEquals(
    await verdict(gates.of(gated({ limits, access: { allow: ["192.0.2.1"] } })).own, asked()),
    "rate_limited",
  );
});

Deno.test("no combination of headers, path and method passes a lock or says who a client is", async () => {
  const names = fc.constantFrom(
    ...[
      "x-auth-user",
      "X-Auth-User",
      "x-AUTH-groups",
      "x-auth-email",
      "x-original-url",
      "X-Rewrite-URL",
      "x-forwarded-for",
    ],
    ...["forwarded", "x-real-ip", "x-http-method-override", "authorization", "proxy-authorization", "cookie", "origin"],
    ...["access-control-request-method", "connection", "upgrade", "x-forwarded-user", "x-client-ip"],
  );
  const values = fc.constantFrom(
    ...["root", "203.0.113.7", "/health", "OPTIONS", "GET", "x-auth-user", "Bearer x", basic("alice", "wrong")],
    ...[basic("root", "open sesame"), "for=203.0.113.7", "https://example.org", "websocket", "", "Basic", "null"],
  );
  const targets = fc.array(
    fc.constantFrom("/", "health", "health/", "%68ealth", "..", ".", "//", ";", "%2f", "?", "#", "admin", "%00", "\\"),
    { maxLength: 6 },
  ).map((parts) => `/${parts.join("")}`);
  const methods = fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "options");
  const gate = gateOf({ allow: ["203.0.113.7"], basic: { alice: HASH }, except: ["/health"] });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(names, values)), targets, methods, async (headers, target, method) => {
      const given = new Headers();
      for (const [name, value] of headers) given.append(name, value);
      const request = asked(Object.fromEntries(given), { method, target });
      const isExcepted = target.replace(/\?.*$/, "") === "/health";
      const said = await verdict(gate, request);
      assertEquals(said === "pass", isExcepted, `${method} ${target}`);
      for (const [name, value] of request.head.headers) {
        assert(!/^x-auth-|^x-(?:original|rewrite)-/.test(name), `${name}: ${value}`);
        assert(name !== "authorization" || !/basic/i.test(value), value);
      }
    }),
    { numRuns: 500 },
  );
});
