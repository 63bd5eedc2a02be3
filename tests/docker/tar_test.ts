import { assertEquals } from "@std/assert";
import { firstEntry } from "../../src/docker/tar.ts";

/** The head of an entry, with these fields at their places. */
function head(fields: { mode?: string; uid?: string; gid?: string; size?: string; type?: string }): Uint8Array {
  const { gid = "0000062", mode = "0100755", size = "00000000005", type = "0", uid = "0001750" } = fields;
  const bytes = new Uint8Array(512);
  const put = (at: number, text: string) => new TextEncoder().encodeInto(text, bytes.subarray(at));
  put(0, "etc/passwd");
  put(100, mode);
  put(108, uid);
  put(116, gid);
  put(124, size);
  put(156, type);
  return bytes;
}

Deno.test("the first entry of an archive has its owner, permissions and content", () => {
  const archive = new Uint8Array(1024);
  archive.set(head({}));
  archive.set(new TextEncoder().encode("hello and more"), 512);
  const entry = firstEntry(archive);
  assertEquals([entry?.isFolder, entry?.uid, entry?.gid, entry?.mode], [false, 1000, 50, 0o755]);
  assertEquals(new TextDecoder().decode(entry?.content), "hello");
  const folder = firstEntry(head({ type: "5", size: "00000000000" }));
  assertEquals([folder?.isFolder, folder?.content.length], [true, 0]);
});

Deno.test("content that was not read is missing from an entry", () => {
  assertEquals(firstEntry(head({ size: "00000000777" }))?.content.length, 0);
});

Deno.test("what is no whole head, no file and no folder, or has too large numbers for the format, is no entry", () => {
  assertEquals(firstEntry(head({}).subarray(0, 511)), undefined);
  for (const type of ["2", "x", "g"]) assertEquals(firstEntry(head({ type })), undefined, type);
  assertEquals(firstEntry(head({ uid: "\x80\0\0\0\x7f" })), undefined);
  assertEquals(firstEntry(new Uint8Array(512)), undefined);
});
