import { assertEquals } from "@std/assert";
import { parseRoute, routeHash, serviceHash } from "../../../src/admin/dashboard/ui/model/route.js";

Deno.test("an address leads to the screen that it was made for", () => {
  const routes = [
    { screen: "services", name: "", section: "", query: {} },
    { screen: "services", name: "", section: "", query: { q: "a&b", sort: "memory" } },
    { screen: "service", name: "shop", section: "logs", query: { q: "50% off" } },
    { screen: "what-if", name: "", section: "", query: {} },
    { screen: "deploy", name: "", section: "", query: {} },
    { screen: "deploy", name: "shop", section: "", query: {} },
  ] as const;
  for (const route of routes) assertEquals(parseRoute(routeHash(route)), route);
});

Deno.test("an address without a name shows all services, and one that leads nowhere is told", () => {
  for (const hash of ["", "#", "#/", "#services", "#/services", "#/services/"]) {
    assertEquals(parseRoute(hash).screen, "services");
  }
  assertEquals(parseRoute("#/nosuch").screen, "nowhere");
  assertEquals(parseRoute("#/services/%zz").name, "%zz");
});

Deno.test("an empty part is left out of an address", () => {
  assertEquals(serviceHash("shop"), "#/services/shop");
  assertEquals(serviceHash("shop", "logs"), "#/services/shop/logs");
  assertEquals(routeHash({ query: { q: "", sort: "state" } }), "#/?sort=state");
});
