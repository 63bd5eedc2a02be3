import { assertEquals, assertThrows } from "@std/assert";
import { type Order, ORDER_NAMES, parseOrder, selected } from "../../../src/cli/top/activity.ts";
import { newActivity, SERVICES } from "./activities.ts";

function names(order: Order, isReversed = false, filter = "", services = SERVICES): string {
  return selected(services, { order, isReversed, filter }).map(({ service }) => service).join(" ");
}

Deno.test("services are sorted by state at first: what fails, then from the most wakeful to the deepest asleep", () => {
  assertEquals(names("state"), "shop blog api wiki docs");
  assertEquals(names("state", true), "docs wiki api blog shop");
  const busy = ["a", "b", "c"].map((service, rate) =>
    newActivity(service, { state: "ready", requestsPerSecond: rate })
  );
  assertEquals(names("state", false, "", busy), "c b a", "the busiest of one state comes first");
});

Deno.test("numbers are sorted from the largest, and equal ones by name", () => {
  assertEquals(names("name"), "api blog docs shop wiki");
  assertEquals(names("memory"), "blog api docs shop wiki");
  assertEquals(names("swap"), "api wiki blog docs shop");
  for (const order of ["requests", "errors", "p99", "in-flight", "wakes"] as const) {
    assertEquals(names(order), "blog api docs shop wiki", order);
  }
  assertEquals(SERVICES.map(({ service }) => service).join(" "), "api blog docs shop wiki", "nothing else is sorted");
});

Deno.test("a filter is words that are all in the name or the state", () => {
  assertEquals(names("name", false, "o"), "blog docs shop");
  assertEquals(names("name", false, "HO  Fail"), "shop");
  assertEquals(names("name", false, " "), "api blog docs shop wiki");
  assertEquals(names("name", false, "shop ready"), "");
});

Deno.test("an order is one of the known words", () => {
  for (const name of ORDER_NAMES) assertEquals(parseOrder(name), name);
  const message = "expected one of state, name, requests, errors, p99, in-flight, memory, swap, wakes";
  for (const wrong of ["", "size", "toString"]) assertThrows(() => parseOrder(wrong), RangeError, message);
});
