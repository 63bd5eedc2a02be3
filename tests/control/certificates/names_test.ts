import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CertificateNames } from "../../../src/control/certificates/names.ts";
import { StoreUnavailable } from "../../../src/control/store.ts";
import { parseHostname } from "../../../src/model/host.ts";
import { Hosts } from "../../../src/routing/hosts.ts";
import { Service } from "../../../src/routing/service.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeStore } from "../../support/fake_store.ts";
import { newFront, newKit } from "../../support/kit.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const UNSERVED =
  "it is no domain of a service, and not NAME.DOMAIN of a service, tag or local image, where DOMAIN is " +
  "that of --domain or --public-url if one was given";

/** Names on a store, with a clock that a test advances. */
function newNames(store = new FakeStore()) {
  const clock = new FakeClock(1_700_000_000_000);
  const make = () => new CertificateNames({ store, clock, now: () => clock.now() });
  return { store, clock, names: make(), restart: make };
}

/** Asks for this many new names of a domain each; returns how many were granted. */
function grantMany(names: CertificateNames, count: number, domainOf: (at: number) => string): number {
  return Array.from({ length: count }, (_, at) => names.grant(`app-${at}.${domainOf(at)}`, "declared"))
    .filter((reason) => reason === undefined).length;
}

Deno.test("what cless serves is granted, and nothing else", () => {
  const { names, store } = newNames();
  assertEquals(names.grant("shop.example.org", "declared"), undefined);
  assertEquals(names.grant("none.example.org", undefined), UNSERVED);
  assertEquals(store.certificateNames().map(({ name, domain, kind }) => [name, domain, kind]), [
    ["shop.example.org", "example.org", "declared"],
  ]);
});

Deno.test("a domain's 41st new name in a week is refused, while names that were granted before are granted", async () => {
  const { clock, names } = newNames();
  assertEquals(grantMany(names, 40, () => "example.org"), 40);
  assertMatch(names.grant("one-more.example.org", "declared")!, /^example\.org has had 40 new names in 7 days/);
  assertEquals(names.grant("app-7.example.org", "declared"), undefined);
  assertEquals(names.grant("www.example.com", "declared"), undefined);
  assertEquals(names.counts().map(({ domain, newNames }) => [domain, newNames]), [
    ["example.com", 1],
    ["example.org", 40],
  ]);
  await clock.advance(7 * DAY_MS);
  assertEquals(names.grant("one-more.example.org", "declared"), undefined);
  assertEquals(names.counts().map(({ newNames }) => newNames), [1]);
});

Deno.test("a name that cless no longer serves is refused, and granted again without counting when it is back", () => {
  const { names } = newNames();
  names.grant("shop.example.org", "convention");
  assertEquals(names.grant("shop.example.org", undefined), UNSERVED);
  assertEquals(names.grant("shop.example.org", "declared"), undefined);
  assertEquals(names.counts().map(({ newNames }) => newNames), [1]);
});

Deno.test("renewals never count, as long as no 90 days pass without one", async () => {
  const { clock, names, restart } = newNames();
  grantMany(names, 40, () => "example.org");
  for (let renewal = 1; renewal <= 5; renewal++) {
    await clock.advance(60 * DAY_MS);
    assertEquals(grantMany(restart(), 40, () => "example.org"), 40);
    assertEquals(restart().counts(), []);
  }
  await clock.advance(90 * DAY_MS);
  const later = restart();
  assertEquals([later.size, later.grant("app-0.example.org", "declared"), later.counts()[0]?.newNames], [
    0,
    undefined,
    1,
  ]);
});

Deno.test("a restart forgets neither names nor counts", () => {
  const { names, restart } = newNames();
  grantMany(names, 40, () => "example.org");
  const after = restart();
  assertEquals([after.size, after.counts()], [40, names.counts()]);
  assert(after.grant("one-more.example.org", "declared") !== undefined);
  assertEquals(after.grant("app-7.example.org", "declared"), undefined);
});

Deno.test("all domains together get 60 new names at once, and then one more each minute", async () => {
  const { clock, names } = newNames();
  const domain = (at: number) => `domain-${at}.example`;
  assertEquals(grantMany(names, 100, domain), 60);
  assertEquals(names.grant("x.one.example", "declared"), "too many names are new; one more is granted each minute");
  assertEquals(names.grant("app-0.domain-0.example", "declared"), undefined);
  await clock.advance(2 * MINUTE_MS);
  assertEquals(grantMany(names, 100, (at) => `second.${domain(at)}`), 2);
  await clock.advance(DAY_MS);
  assertEquals(grantMany(names, 100, (at) => `third.${domain(at)}`), 60);
});

Deno.test("a new name that cannot be stored is not granted, and one that is known is", async () => {
  const { clock, names, store } = newNames();
  names.grant("known.example.org", "declared");
  store.failure = new StoreUnavailable("the disk is full");
  assertThrows(() => names.grant("new.example.org", "declared"), StoreUnavailable, "the disk is full");
  assertEquals(names.refused()[0]?.reason, "it cannot be stored: the disk is full");
  assertEquals([names.size, names.counts()[0]?.newNames], [1, 1]);
  await clock.advance(2 * DAY_MS);
  store.failure = new StoreUnavailable("the disk is full");
  assertEquals(names.grant("known.example.org", "declared"), undefined);
  assertEquals(names.grant("new.example.org", "declared"), undefined);
});

Deno.test("the last 20 refusals are remembered, each name once, the latest first", async () => {
  const { clock, names } = newNames();
  for (let at = 0; at < 25; at++) {
    names.grant(`n-${at}.example.org`, undefined);
    await clock.advance(1);
  }
  names.grant("n-10.example.org", undefined);
  const refused = names.refused();
  assertEquals(refused.length, 20);
  assertEquals(refused.slice(0, 3).map(({ name }) => name), [
    "n-10.example.org",
    "n-24.example.org",
    "n-23.example.org",
  ]);
  assertEquals(refused[0], { name: "n-10.example.org", reason: UNSERVED, at: clock.now() });
});

Deno.test("names that strangers make up do not displace refusals of names that cless serves", () => {
  const { names } = newNames();
  grantMany(names, 45, () => "example.org");
  for (let at = 0; at < 1000; at++) names.grant(`random-${at}.example.org`, undefined);
  const refused = names.refused();
  assertEquals(refused.length, 20);
  assertEquals(refused.filter(({ name }) => name.startsWith("app-")).length, 5);
  assertEquals(refused[0]?.name, "random-999.example.org");
  grantMany(names, 80, () => "example.org");
  assertEquals(names.refused().every(({ name }) => name.startsWith("app-")), true);
  names.grant("random.example.org", undefined);
  assertEquals(names.refused()[0]?.name, "app-79.example.org");
});

Deno.test("at most 20,000 names are remembered, and those that were asked for the longest ago are forgotten", () => {
  const store = new FakeStore();
  const { clock, restart } = newNames(store);
  for (let at = 0; at < 20_000; at++) {
    const time = clock.now() - 80 * DAY_MS + at;
    const record = { name: `n-${at}.example`, domain: `n-${at}.example`, kind: "declared", grantedAt: time } as const;
    store.putCertificateName({ ...record, askedAt: time }, []);
  }
  const names = restart();
  assertEquals(names.size, 20_000);
  assertEquals(names.grant("n-0.example", "declared"), undefined);
  for (let at = 0; at < 10; at++) assertEquals(names.grant(`new-${at}.example`, "declared"), undefined);
  assertEquals([names.size, store.certificateNames().length], [20_000, 20_000]);
  const left = new Set(store.certificateNames().map(({ name }) => name));
  assertEquals(["n-0", "n-1", "n-10", "n-11", "new-9"].map((name) => left.has(`${name}.example`)), [
    true,
    false,
    false,
    true,
    true,
  ]);
});

Deno.test("no name that a stranger makes up is granted, and none takes memory", () => {
  const kit = newKit();
  const { convention, images, services } = newFront(kit);
  const shares = [{ pool: kit.newPool(), percent: 100, tag: "next" }];
  services.put(new Service("app", { shares, domains: ["www.example.com"] }));
  images.build("web-docker", "sha256:0123456789abcdef");
  const hosts = new Hosts(
    { domain: "example.org", domainGiven: true, publicUrl: undefined, oidcHost: undefined },
    services,
    convention,
  );
  const served = ["app", "next--app", "web", "admin"].map((label) => `${label}.example.org`);
  const all = new Set([...served, "example.org", "www.example.com"]);
  const label = fc.oneof(
    fc.constantFrom("app", "next--app", "web", "admin", "www", "example", "org", "com", "next", "--"),
    fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/),
  );
  const hostname = fc.oneof(
    fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join(".")),
    fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join(".")}.example.org`),
    fc.tuple(fc.constantFrom(...all), fc.constantFrom("", ".", ".example.org", ".org", "a")).map(([a, b]) => a + b),
  );
  const { names, store } = newNames();
  fc.assert(
    fc.property(hostname, (text) => {
      const name = parseHostname(text)?.name;
      if (name === undefined) return;
      const reason = names.grant(name, hosts.kindOf(name));
      assertEquals(reason === undefined, all.has(name), name);
      assert(names.size <= all.size && names.refused().length <= 20);
    }),
    { numRuns: 5000 },
  );
  assert(store.certificateNames().every(({ name }) => all.has(name)));
  assertEquals(images.asked, 0);
});
