import { assertEquals } from "@std/assert";
import { EngineError } from "../../src/docker/engine_error.ts";
import { VolumeAccess } from "../../src/docker/volume_access.ts";
import type { Revision } from "../../src/model/revision.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";

/** An archive with one entry. */
function archive(type: "0" | "5", { content = "", gid = 0, mode = 0o755, uid = 0 }): Uint8Array {
  const bytes = new Uint8Array(512 + content.length);
  const put = (at: number, text: string) => new TextEncoder().encodeInto(text, bytes.subarray(at));
  const octal = (value: number, length: number) => value.toString(8).padStart(length, "0");
  put(100, octal(mode, 7));
  put(108, octal(uid, 7));
  put(116, octal(gid, 7));
  put(124, octal(content.length, 11));
  put(156, type);
  put(512, content);
  return bytes;
}

/** An engine with one image, whose user the test says, and containers with these paths. */
function newAccess(user: string, paths: Record<string, Uint8Array>) {
  const asked: string[] = [];
  const api = {
    image: () => {
      asked.push("image");
      return Promise.resolve({ id: "sha256:1", digests: [], exposedPorts: [], hasHealthCheck: false, user });
    },
    archive: (_id: string, path: string) => {
      asked.push(path);
      const found = paths[path];
      return found === undefined ? Promise.reject(new EngineError("gone", "no such file")) : Promise.resolve(found);
    },
  };
  const clock = new FakeClock();
  return { access: new VolumeAccess(api, clock), asked, clock, paths };
}

function withVolumes(...volumes: [source: string, path: string, readOnly?: true][]): Revision {
  return {
    ...newRevision(),
    volumes: volumes.map(([source, path, readOnly = false]) => ({ source, path, readOnly })),
  };
}

const DATA = withVolumes(["data", "/data"]);

Deno.test("a volume that the image's user cannot write to is told, with what to do", async () => {
  const { access, asked } = newAccess("node", {
    "/data/.": archive("5", {}),
    "/srv/.": archive("5", { uid: 5, gid: 6, mode: 0o700 }),
    "/own/.": archive("5", { uid: 1000, gid: 1000 }),
    "/etc/passwd": archive("0", { content: "node:x:1000:1000::/home/node:/bin/sh\n" }),
  });
  const revision = withVolumes(["data", "/data"], ["/srv/app", "/srv"], ["own", "/own"], ["ro", "/ro", true]);
  access.check("one", revision);
  const { name } = revision;
  assertEquals(await access.problemsOf(name), [
    "its user node cannot write to the volume data at /data, which belongs to 0:0 (mode 755); " +
    "this lets it: docker run --rm -v data:/v busybox chown 1000 /v",
    "its user node cannot write to the volume /srv/app at /srv, which belongs to 5:6 (mode 700); " +
    "this lets it: sudo chown 1000 /srv/app",
  ]);
  assertEquals(asked, ["image", "/etc/passwd", "/etc/group", "/data/.", "/srv/.", "/own/."]);
  assertEquals(await access.problemsOf("other"), []);
});

Deno.test("without volumes to write to, the engine is asked nothing, and for root only for the user", async () => {
  const { access, asked } = newAccess("", {});
  access.check("one", withVolumes());
  access.check("one", withVolumes(["data", "/data", true]));
  assertEquals([await access.problemsOf(DATA.name), asked], [[], []]);
  access.check("one", DATA);
  assertEquals([await access.problemsOf(DATA.name), asked], [[], ["image"]]);
});

Deno.test("the user that a revision names counts, and not that of its image", async () => {
  const { access, asked } = newAccess("", { "/data/.": archive("5", {}) });
  access.check("one", { ...DATA, user: "7:8" });
  assertEquals((await access.problemsOf(DATA.name)).length, 1);
  assertEquals(asked, ["/data/."]);
});

Deno.test("a revision is looked at again with each container until nothing is wrong", async () => {
  const { access, asked, paths } = newAccess("7:8", { "/data/.": archive("5", {}) });
  access.check("one", DATA);
  assertEquals((await access.problemsOf(DATA.name)).length, 1);
  paths["/data/."] = archive("5", { uid: 7 });
  access.check("two", DATA);
  assertEquals(await access.problemsOf(DATA.name), []);
  access.check("three", DATA);
  assertEquals(asked, ["image", "/data/.", "image", "/data/."]);
});

Deno.test("a problem that was mended is told no more while the instance is there, and is looked for once a second", async () => {
  const { access, asked, clock, paths } = newAccess("7:8", { "/data/.": archive("5", {}) });
  access.check("one", DATA);
  assertEquals((await access.problemsOf(DATA.name)).length, 1);
  assertEquals((await access.problemsOf(DATA.name)).length, 1);
  assertEquals(asked, ["image", "/data/."]);
  delete paths["/data/."]; // the instance is gone, or cannot be looked at
  await clock.advance(1000);
  assertEquals((await access.problemsOf(DATA.name)).length, 1);
  paths["/data/."] = archive("5", { uid: 7 });
  await clock.advance(1000);
  const all = await Promise.all([access.problemsOf(DATA.name), access.problemsOf(DATA.name)]);
  assertEquals(all, [[], []]);
  await clock.advance(1000);
  assertEquals(await access.problemsOf(DATA.name), []);
  assertEquals(asked, ["image", "/data/.", "image", "/data/.", "image", "/data/."]);
});

Deno.test("what cannot be looked at is no problem, and who waits for it waits two seconds", async () => {
  const { access } = newAccess("7:8", {});
  access.check("one", DATA);
  assertEquals(await access.problemsOf(DATA.name), []);
  const clock = new FakeClock();
  const stuck = new VolumeAccess({ image: () => new Promise(() => {}), archive: () => new Promise(() => {}) }, clock);
  stuck.check("one", DATA);
  const waiting = Promise.all([stuck.problemsOf(DATA.name), stuck.settled("one"), stuck.settled("two")]);
  await clock.advance(2000);
  assertEquals((await waiting)[0], []);
});
