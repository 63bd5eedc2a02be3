import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { countDomains, domainOf, isRemembered, weeklyRefusal } from "../../../src/control/certificates/limits.ts";
import type { CertificateName } from "../../../src/control/records.ts";

const DAY_MS = 86_400_000;
const NOW = 1_700_000_000_000;

/** A name that was granted, and last asked for, some days ago. */
function granted(name: string, daysAgo: number, kind: CertificateName["kind"] = "declared"): CertificateName {
  const at = NOW - daysAgo * DAY_MS;
  return { name, domain: domainOf(name), kind, grantedAt: at, askedAt: at };
}

/** This many names of a domain, granted yesterday. */
function many(count: number, domain = "example.org", kind: CertificateName["kind"] = "declared"): CertificateName[] {
  return Array.from({ length: count }, (_, at) => granted(`app-${at}.${domain}`, 1, kind));
}

/** Whether each kind of name is granted, if a domain has had so many new names. */
function allowed(count: number, kind: CertificateName["kind"] = "declared") {
  const mayHave = (kind: CertificateName["kind"]) =>
    weeklyRefusal(many(count, "example.org", kind), { domain: "example.org", kind }, NOW) === undefined;
  return { declared: mayHave("declared"), convention: mayHave("convention"), tag: mayHave("tag"), by: kind };
}

Deno.test("declared names get the last of a domain's 40 new names, services by convention up to 30, tags up to 20", () => {
  for (const by of ["declared", "convention", "tag"] as const) {
    assertEquals(allowed(19, by), { declared: true, convention: true, tag: true, by });
    assertEquals(allowed(20, by), { declared: true, convention: true, tag: false, by });
    assertEquals(allowed(29, by), { declared: true, convention: true, tag: false, by });
    assertEquals(allowed(30, by), { declared: true, convention: false, tag: false, by });
    assertEquals(allowed(39, by), { declared: true, convention: false, tag: false, by });
    assertEquals(allowed(40, by), { declared: false, convention: false, tag: false, by });
  }
});

Deno.test("a refusal says how many names there were, and when the first of them stops counting", () => {
  const names = [granted("a.example.org", 6), ...many(29)];
  assertEquals(
    weeklyRefusal(names, { domain: "example.org", kind: "convention" }, NOW),
    "example.org has had 30 new names in 7 days, and services that are not declared get no more than 30 of the 40; " +
      `the first of them stops counting at ${new Date(NOW + DAY_MS).toISOString()}`,
  );
});

Deno.test("names of other domains, and names older than 7 days, do not count", () => {
  const others = [
    ...many(40, "example.com"),
    ...Array.from({ length: 40 }, (_, at) => granted(`${at}.example.org`, 7)),
  ];
  assertEquals(weeklyRefusal(others, { domain: "example.org", kind: "tag" }, NOW), undefined);
});

Deno.test("after the clock was set back, names from the future count for 7 days at most", () => {
  const names = Array.from({ length: 40 }, (_, at) => granted(`${at}.example.org`, -8));
  assertEquals(countDomains(names, NOW), []);
  assertEquals(countDomains(names, NOW + 2 * DAY_MS).map(({ newNames }) => newNames), [40]);
});

Deno.test("each domain is counted, with the time when its first name stops counting", () => {
  const names = [
    granted("b.example.org", 1),
    granted("example.com", 2),
    granted("a.example.org", 3),
    granted("c.x", 7),
  ];
  assertEquals(countDomains(names, NOW), [
    { domain: "example.com", newNames: 1, limit: 40, resetsAt: NOW + 5 * DAY_MS },
    { domain: "example.org", newNames: 2, limit: 40, resetsAt: NOW + 4 * DAY_MS },
  ]);
});

Deno.test("a name counts for its last two labels, which are the registered domain or a part of it", () => {
  assertEquals(domainOf("shop.example.org"), "example.org");
  assertEquals(domainOf("example.org"), "example.org");
  assertEquals(domainOf("a.b.c.example.org"), "example.org");
  assertEquals(domainOf("shop.example.co.uk"), "co.uk");
  assertEquals(domainOf("shop"), "shop");
});

Deno.test("a name is remembered for 90 days after it was last asked for", () => {
  assertEquals(isRemembered(granted("a.example.org", 89), NOW), true);
  assertEquals(isRemembered(granted("a.example.org", 90), NOW), false);
});

Deno.test("whatever is asked in whatever order, no 7 days have more than 40 new names of a domain", () => {
  const kind = fc.constantFrom("declared" as const, "convention" as const, "tag" as const);
  const asks = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 * 3_600_000 }), kind), { minLength: 50, maxLength: 300 });
  fc.assert(fc.property(asks, (asks) => {
    const names: CertificateName[] = [];
    let now = NOW;
    for (const [at, [waitMs, kind]] of asks.entries()) {
      now += waitMs;
      if (weeklyRefusal(names, { domain: "example.org", kind }, now) !== undefined) continue;
      names.push({ name: `${at}.example.org`, domain: "example.org", kind, grantedAt: now, askedAt: now });
      const recent = names.filter(({ grantedAt }) => now - grantedAt < 7 * DAY_MS);
      if (recent.length > 40) throw new Error(`${recent.length} in 7 days`);
    }
  }));
});
