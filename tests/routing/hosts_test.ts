import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { adminHostnames, Hosts } from "../../src/routing/hosts.ts";
import { Service } from "../../src/routing/service.ts";
import { newFront, newKit } from "../support/kit.ts";

/** A map with the declared service `app`, its custom domain and its tag, and an image for `web`. */
function newHosts(domainGiven: boolean) {
  const kit = newKit();
  const front = newFront(kit);
  const shares = [{ pool: kit.newPool(), percent: 100, tag: "next" }];
  front.services.put(new Service("app", { shares, domains: ["www.example.org"] }));
  front.images.build("web-docker", "sha256:0123456789abcdef");
  return { ...front, hosts: new Hosts({ domain: "cless.cloud", domainGiven }, front.services, front.router) };
}

Deno.test("the admin API has its hostnames below the domain and localhost, and they are served", async () => {
  assertEquals(adminHostnames({ domain: "example.net" }), ["admin.example.net", "admin.localhost"]);
  const { hosts } = newHosts(true);
  assertEquals([await hosts.serves("admin.cless.cloud"), await hosts.serves("admin.localhost")], [true, true]);
  assertEquals(await hosts.serves("admin.example.net"), false);
});

Deno.test("a hostname is served if it leads to a declared service, to one of its tags, or to a local image", async () => {
  const { hosts } = newHosts(false);
  for (
    const name of ["app.cless.cloud", "app.other.net", "next--app.localhost", "www.example.org", "web.cless.cloud"]
  ) {
    assertEquals(await hosts.serves(name), true, name);
  }
  for (const name of ["none.cless.cloud", "example.org", "127.0.0.1", "", "-app.cless.cloud"]) {
    assertEquals(await hosts.serves(name), false, name);
  }
});

Deno.test("if a domain was named, hostnames outside of it are served only as custom domains", async () => {
  const { hosts } = newHosts(true);
  assertEquals([await hosts.serves("app.cless.cloud"), await hosts.serves("www.example.org")], [true, true]);
  for (const name of ["app.other.net", "app.localhost", "app.notcless.cloud", "www.example.com"]) {
    assertEquals(await hosts.serves(name), false, name);
  }
});

Deno.test("an error other than unknown_host is passed on", async () => {
  const { services } = newHosts(false);
  const router = { resolve: () => Promise.reject(new ClessError("overloaded", "Too many")) };
  const hosts = new Hosts({ domain: "cless.cloud", domainGiven: false }, services, router);
  await assertRejects(() => hosts.serves("app.cless.cloud"), ClessError, "Too many");
});

Deno.test("the URL of a service has the domain that was named, else localhost, and its port unless that is 80", () => {
  const urls = (domainGiven: boolean, port: number) => {
    const { hosts } = newHosts(domainGiven);
    hosts.listenOn(port);
    return hosts.urlOf("app");
  };
  assertEquals(urls(false, 80), "http://app.localhost");
  assertEquals(urls(false, 8080), "http://app.localhost:8080");
  assertEquals(urls(true, 80), "http://app.cless.cloud");
  assertEquals(urls(true, 8080), "http://app.cless.cloud:8080");
});
