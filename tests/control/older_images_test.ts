import { assertEquals } from "@std/assert";
import { OlderImages } from "../../src/control/older_images.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import { FakeStore } from "../support/fake_store.ts";

Deno.test("the images that are there at first are the older ones, for this process and all later ones", () => {
  const store = new FakeStore();
  const images = new OlderImages(store);
  assertEquals(images.has("b"), true); // nothing is known yet
  images.note(["a"]);
  images.note(["a", "b"]);
  assertEquals([images.has("a"), images.has("b"), store.olderImages()], [true, false, ["a"]]);
  const later = new OlderImages(store);
  later.note(["a", "b", "c"]);
  assertEquals([later.has("a"), later.has("b"), later.has("c")], [true, false, false]);
});

Deno.test("in a new data-dir, none is", () => {
  const store = new FakeStore();
  store.putOlderImages([]);
  const images = new OlderImages(store);
  images.note(["a"]);
  assertEquals(images.has("a"), false);
});

Deno.test("if the older images cannot be stored, they are known, and stored later", () => {
  const store = new FakeStore();
  const put = store.putOlderImages;
  store.putOlderImages = () => {
    throw new StoreUnavailable("the disk is full");
  };
  const images = new OlderImages(store);
  images.note(["a"]);
  assertEquals([images.has("a"), images.has("b"), store.olderImages()], [true, false, undefined]);
  store.putOlderImages = put;
  images.note(["a", "b"]);
  assertEquals([images.has("b"), store.olderImages()], [false, ["a"]]);
});
