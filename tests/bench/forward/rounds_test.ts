import { assertEquals } from "@std/assert";
import { orderOf } from "./rounds.ts";

/** The orders of some rounds, each as a word. */
function orders(all: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, n) => orderOf([...all], from + n).join(""));
}

Deno.test("each round begins with the next one, and every second time through they go backwards", () => {
  assertEquals(orders("abc", 0, 3), ["abc", "bca", "cab"]);
  assertEquals(orders("abc", 3, 6), ["acb", "bac", "cba"]);
  assertEquals(orders("abc", 6, 9), orders("abc", 0, 3));
  assertEquals(orders("a", 0, 2), ["a", "a"]);
});

Deno.test("in as many rounds as there are proxies, each has every place once", () => {
  for (const all of ["ab", "abc", "abcdefg"]) {
    for (const from of [0, all.length]) {
      const played = orders(all, from, from + all.length);
      for (let place = 0; place < all.length; place++) {
        assertEquals(played.map((order) => order[place]!).sort().join(""), all, `place ${place} of ${all}`);
      }
    }
  }
});
