import { assertEquals } from "@std/assert";
import { shortHash } from "../../../src/docker/swarm/short_hash.ts";

Deno.test("the hash of a text is that of its bytes, in sixteen digits", () => {
  assertEquals(shortHash(""), "cbf29ce484222325");
  assertEquals(shortHash("foobar"), "85944171f73967e8");
  assertEquals(shortHash("ä"), shortHash(new TextDecoder().decode(new Uint8Array([0xc3, 0xa4]))));
});
