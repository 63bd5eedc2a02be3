import { assert, assertEquals } from "@std/assert";
import { parsePublicUrl } from "../../src/model/public_url.ts";
import { adminHostnames, baseDomains, Hosts } from "../../src/routing/hosts.ts";
import { Service } from "../../src/routing/service.ts";
import { conventionService, newFront, newKit } from "../support/kit.ts";

/** What `--domain` and `--public-url` say; nothing by default. */
interface Named {
  readonly domain?: string;
  readonly publicUrl?: string;
  readonly oidcHost?: string;
}

/** The settings that follow, as `readConfig` makes them. */
function settings({ domain, publicUrl, oidcHost }: Named) {
  const url = publicUrl === undefined ? undefined : parsePublicUrl(publicUrl);
  return {
    domain: domain ?? url?.domain ?? "cless.cloud",
    domainGiven: domain !== undefined || url !== undefined,
    publicUrl: url,
    oidcHost,
  };
}

/** A map with the declared service `app`, its custom domain and its tag, and images for `web`, `used` and `app`. */
function newHosts(named: Named = {}) {
  const kit = newKit();
  const front = newFront(kit);
  const shares = [{ pool: kit.newPool(), percent: 100, tag: "next" }];
  front.services.put(new Service("app", { shares, domains: ["www.example.com"] }));
  for (const name of ["web", "used", "app"]) front.images.build(`${name}-docker`, "sha256:0123456789abcdef");
  front.services.put(conventionService("used", kit.newPool()));
  return { ...front, hosts: new Hosts(settings(named), front.services, front.convention) };
}

Deno.test("the admin API has its hostnames below each named domain and localhost", () => {
  assertEquals(adminHostnames(settings({ domain: "example.net" })), ["admin.example.net", "admin.localhost"]);
  const both = settings({ domain: "example.net", publicUrl: "https://example.org" });
  assertEquals(adminHostnames(both), ["admin.example.net", "admin.example.org", "admin.localhost"]);
  assertEquals(baseDomains(both), ["example.net", "example.org", "localhost"]);
  const same = settings({ domain: "example.org", publicUrl: "https://example.org" });
  assertEquals(baseDomains(same), ["example.org", "localhost"]);
});

Deno.test("one label below the domain leads to a declared service, to a tag, to an image, or nowhere", () => {
  const { hosts } = newHosts({ domain: "example.org" });
  const kinds = {
    "example.org": "declared",
    "admin.example.org": "declared",
    "app.example.org": "declared",
    "APP.example.org.": "declared",
    "www.example.com": "declared",
    "web.example.org": "convention",
    "used.example.org": "convention",
    "next--app.example.org": "tag",
    "old--app.example.org": undefined,
    "next--web.example.org": undefined,
    "none.example.org": undefined,
    "-app.example.org": undefined,
    "127.0.0.1": undefined,
    "": undefined,
  };
  for (const [name, kind] of Object.entries(kinds)) assertEquals(hosts.kindOf(name), kind, name);
});

Deno.test("names that any client can make up are not served, though requests for them would find a service", () => {
  const { hosts } = newHosts({ domain: "example.org" });
  const names = ["app.any.example.org", "app.other.net", "app.notexample.org", "app.localhost", "app", "org"];
  for (const name of [...names, "admin.localhost", "app.www.example.com", "next--app.any.example.org"]) {
    assertEquals(hosts.kindOf(name), undefined, name);
  }
});

Deno.test("with a domain and a public URL, names below both are served", () => {
  const { hosts } = newHosts({ domain: "example.net", publicUrl: "https://example.org" });
  for (const name of ["app.example.net", "app.example.org", "admin.example.net", "admin.example.org"]) {
    assertEquals(hosts.kindOf(name), "declared", name);
  }
});

Deno.test("without a domain, the services are served below every domain", () => {
  const { hosts } = newHosts();
  for (const name of ["app.localhost", "app.any.example.org", "www.example.com", "admin.cless.cloud"]) {
    assertEquals(hosts.kindOf(name), "declared", name);
  }
  assertEquals([hosts.kindOf("web.example.org"), hosts.kindOf("next--app.example.org")], ["convention", "tag"]);
  for (const name of ["app", "none.example.org", "any.app.example.org"]) {
    assertEquals(hosts.kindOf(name), undefined, name);
  }
});

Deno.test("what a hostname leads to is found without asking the engine", () => {
  const { hosts, images } = newHosts({ domain: "example.org" });
  for (const name of ["web", "used", "app", "none"]) hosts.kindOf(`${name}.example.org`);
  assertEquals(images.asked, 0);
  images.remove("web-docker");
  images.remove("used-docker");
  assertEquals([hosts.kindOf("web.example.org"), hosts.kindOf("used.example.org")], [undefined, undefined]);
});

Deno.test("with --no-convention, images are not served", () => {
  const { services } = newHosts();
  const hosts = new Hosts(settings({ domain: "example.org" }), services, undefined);
  assertEquals([hosts.kindOf("app.example.org"), hosts.kindOf("web.example.org")], ["declared", undefined]);
});

Deno.test("URLs have the domain that was named, else localhost, and the port of the proxy unless that is 80", () => {
  const urls = (named: Named, port: number) => {
    const { hosts } = newHosts(named);
    hosts.listenOn(port);
    return [hosts.urlOf("app"), hosts.urlOf("app", "next")];
  };
  const domain = "example.org";
  assertEquals(urls({}, 80), ["http://app.localhost", "http://next--app.localhost"]);
  assertEquals(urls({}, 8080), ["http://app.localhost:8080", "http://next--app.localhost:8080"]);
  assertEquals(urls({ domain }, 80), ["http://app.example.org", "http://next--app.example.org"]);
  assertEquals(urls({ domain }, 8080), ["http://app.example.org:8080", "http://next--app.example.org:8080"]);
});

Deno.test("with a public URL, URLs have its scheme, domain and port, wherever the proxy listens", () => {
  const urlOf = (publicUrl: string, domain?: string) => {
    const { hosts } = newHosts({ publicUrl, ...(domain === undefined ? {} : { domain }) });
    hosts.listenOn(8080);
    return hosts.urlOf("app", "next");
  };
  assertEquals(urlOf("https://example.org"), "https://next--app.example.org");
  assertEquals(urlOf("https://example.org:8443"), "https://next--app.example.org:8443");
  assertEquals(urlOf("http://example.org:80"), "http://next--app.example.org");
  assertEquals(urlOf("https://example.org", "example.net"), "https://next--app.example.org");
});

Deno.test("only hostnames that the operator has named are trusted with a sign-in", () => {
  const named = (given: Named, name: string) => newHosts(given).hosts.isNamed(name);
  for (const given of [{}, { domain: "example.org" }, { publicUrl: "https://example.org" }]) {
    for (const name of ["app.localhost", "next--app.localhost", "www.example.com"]) assert(named(given, name), name);
    for (const name of ["localhost", "app", "app.evil.example", "app.www.example.com", "a.app.localhost"]) {
      assert(!named(given, name), name);
    }
    assertEquals(named(given, "app.example.org"), "domain" in given || "publicUrl" in given);
  }
});

Deno.test("clients reach a service at its URL and at its custom domains, with the same scheme and port", () => {
  const origins = (given: Named) => {
    const { hosts } = newHosts(given);
    hosts.listenOn(8080);
    return hosts.originsOf("app", ["www.example.com"]);
  };
  assertEquals(origins({}), ["http://app.localhost:8080", "http://www.example.com:8080"]);
  const publicUrl = "https://example.org:8443";
  assertEquals(origins({ publicUrl }), ["https://app.example.org:8443", "https://www.example.com:8443"]);
});

Deno.test("the host to which providers send browsers back gets a certificate", () => {
  const named = { publicUrl: "https://example.org", oidcHost: "auth.example.com" };
  assertEquals(newHosts(named).hosts.kindOf("auth.example.com"), "declared");
});
