import { assertEquals, assertRejects } from "@std/assert";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { SocketClient } from "../../../src/docker/socket_client.ts";
import { ImageArchives } from "../../../src/docker/swarm/image_archives.ts";
import { noNet, noWrite } from "../../support/permissions.ts";

const NO_SIGNAL = new AbortController().signal;

/** A test with an engine that answers as given. */
function archivesTest(
  name: string,
  answer: (request: Request, path: string) => Response | Promise<Response>,
  fn: (archives: ImageArchives) => Promise<void>,
): void {
  Deno.test({ name, ignore: noNet || noWrite }, async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/engine.sock`;
    const server = Deno.serve({ path, onListen() {} }, (request) => {
      const { pathname, search } = new URL(request.url.replace(/^http\+unix:\/\/[^/]*/, "http://engine"));
      return answer(request, pathname + search);
    });
    using engine = new SocketClient(path);
    try {
      await fn(new ImageArchives(engine));
    } finally {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function archive(...pieces: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces.map((piece) => new TextEncoder().encode(piece)));
}

archivesTest("the id of an image is what its name means here", (_, path) => {
  if (path === "/images/registry%2Fapp%3A1/json") return Response.json({ Id: "sha256:1" });
  const status = path.includes("UPPER") ? 400 : 404;
  return Response.json({ message: status === 400 ? "invalid reference format" : "No such image: x" }, { status });
}, async (archives) => {
  assertEquals(await archives.idOf("registry/app:1"), "sha256:1");
  assertEquals(await archives.idOf("other"), undefined);
  assertEquals(await archives.idOf("UPPER"), undefined);
});

let loaded = "";
archivesTest(
  "an archive is loaded as it comes, and what the engine says against it is an error",
  async (request, path) => {
    if (path !== "/images/load?quiet=1") return Response.json({ message: "not found" }, { status: 404 });
    loaded = await request.text();
    if (loaded.startsWith("full")) {
      return new Response('{"stream":"x"}\r\n{"error":"no space left on device","errorDetail":{}}\r\n');
    }
    return loaded.startsWith("bad")
      ? Response.json({ message: "unexpected EOF" }, { status: 500 })
      : new Response('{"stream":"Loaded image: app"}\r\n');
  },
  async (archives) => {
    await archives.load(archive("a", "bc"), NO_SIGNAL);
    assertEquals(loaded, "abc");
    await assertRejects(() => archives.load(archive("full"), NO_SIGNAL), EngineError, "no space left on device");
    await assertRejects(() => archives.load(archive("bad"), NO_SIGNAL), EngineError, "unexpected EOF");
  },
);

archivesTest("an archive that breaks off breaks off the load, and its reason is told", async (request) => {
  await request.text().catch(() => {});
  return new Response("");
}, async (archives) => {
  const broken = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(10)),
    pull: (controller) => controller.error(new Error("the other machine has gone")),
  });
  await assertRejects(() => archives.load(broken, NO_SIGNAL), Error, "the other machine has gone");
});

archivesTest("a load that is broken off cancels the archive", async (request) => {
  await request.text().catch(() => {});
  return new Response("");
}, async (archives) => {
  const ended = new AbortController();
  const cancelled = Promise.withResolvers<void>();
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(new Uint8Array(10));
      setTimeout(() => ended.abort(new Error("enough")), 0);
      return new Promise(() => {});
    },
    cancel: () => cancelled.resolve(),
  }, { highWaterMark: 0 });
  await assertRejects(() => archives.load(endless, ended.signal), Error, "enough");
  await cancelled.promise;
});
