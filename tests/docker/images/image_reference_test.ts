import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isImageId, parseReference, registryOf } from "../../../src/docker/images/image_reference.ts";

const HEX = "0123456789abcdef".repeat(4);
const DIGEST = `sha256:${HEX}`;

Deno.test("a name of an image is read in its parts", () => {
  const names: [text: string, repository: string, tag?: string | undefined, digest?: string][] = [
    ["alpine", "alpine"],
    ["alpine:3.20", "alpine", "3.20"],
    ["library/alpine", "alpine"],
    ["docker.io/library/alpine:3", "alpine", "3"],
    ["index.docker.io/me/app", "me/app"],
    ["docker.io/library/a/b", "library/a/b"],
    ["me/app", "me/app"],
    ["ghcr.io/me/app:1", "ghcr.io/me/app", "1"],
    ["localhost/app", "localhost/app"],
    ["localhost:5000/app:1", "localhost:5000/app", "1"],
    ["registry:5000/a/b/c", "registry:5000/a/b/c"],
    ["[::1]:5000/app:1", "[::1]:5000/app", "1"],
    ["REGISTRY/app", "REGISTRY/app"],
    [`alpine@${DIGEST}`, "alpine", undefined, DIGEST],
    [`ghcr.io/me/app:1@${DIGEST}`, "ghcr.io/me/app", "1", DIGEST],
    ["a.b_c__d-e--f", "a.b_c__d-e--f"],
    ["a:A_b.C-d", "a", "A_b.C-d"],
  ];
  for (const [text, repository, tag, digest] of names) {
    assertEquals(parseReference(text), { repository, tag, digest }, text);
  }
});

Deno.test("the registry of an image is the host in its name, or else Docker Hub", () => {
  const registries: [reference: string, host: string | undefined][] = [
    ["alpine", undefined],
    [`alpine@${DIGEST}`, undefined],
    ["ann/app:1", undefined],
    ["docker.io/library/alpine", undefined],
    ["index.docker.io/ann/app", undefined],
    [`ghcr.io/ann/app@${DIGEST}`, "ghcr.io"],
    ["10.0.0.1:5000/shop:1", "10.0.0.1:5000"],
    ["localhost/shop", "localhost"],
    ["[::1]:5000/shop", "[::1]:5000"],
  ];
  for (const [reference, host] of registries) assertEquals(registryOf(reference), host, reference);
});

Deno.test("an invalid name of an image is rejected", () => {
  const texts = [
    ...["", " ", "Alpine", "alpine:", ":3", "alpine:3:4", "alpine: 3", "alpine\n", "a b", "-a", "--help", "a..b", "a/"],
    ...["/a", "a//b", "a___b", "a-", "_a", "http://a/b", "a/B", "alpine@", `@${DIGEST}`, `a@${DIGEST}@${DIGEST}`],
    ...["a@sha256:12", `a@${DIGEST}0`, `a@md5:${HEX}`, HEX, DIGEST, "-x.y/app", "x_y.z/app", "a".repeat(513)],
    ...["a:" + "b".repeat(129), "[::1/a", "registry:port/a"],
  ];
  for (const text of texts) assertEquals(parseReference(text), undefined, JSON.stringify(text));
});

Deno.test("no name is taken for a flag, whatever is in it", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((text) => `-${text}`)), (text) => {
    if (parseReference(text) !== undefined) assert(/^[a-zA-Z0-9[]/.test(text) && !/\s/.test(text), text);
  }));
});

Deno.test("a long text is rejected as a name without delay", () => {
  const began = performance.now();
  for (const text of ["a-".repeat(256), "A".repeat(510) + "-/", "a.".repeat(256), "-".repeat(512)]) {
    parseReference(text);
  }
  assert(performance.now() - began < 1000);
});

Deno.test("an id is no name, and a name no id", () => {
  assert(isImageId(HEX) && isImageId(DIGEST));
  for (const text of ["alpine", HEX.slice(1), `${HEX}0`, `md5:${HEX}`, HEX.toUpperCase(), `a@${DIGEST}`]) {
    assert(!isImageId(text), text);
  }
});
