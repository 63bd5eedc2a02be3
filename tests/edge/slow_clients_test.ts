import { assert, assertEquals, assertMatch } from "@std/assert";
import { caddyfileOf } from "../../src/edge/caddyfile.ts";
import { CaddyChild } from "../../src/edge/child.ts";
import { closeQuietly, HttpReader, writeAll } from "../support/http_message.ts";
import { isListening, noEdge, ownCertificate } from "../support/pebble.ts";
import { until } from "../support/until.ts";
import { Behind } from "./kit.ts";
import { freePorts } from "../support/free_ports.ts";

/** A Caddy with the limits of time shortened, and how a client connects to its ports. */
async function withCaddy(fn: (connect: (port: "http" | "https") => Promise<Deno.Conn>) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  await ownCertificate(folder, "own", "DNS:example.org");
  await using behind = new Behind(() => false, () => new Response("ok"));
  const ports = { http: freePorts(1), https: freePorts(1) };
  const own = { certificate: `${folder}/own.pem`, key: `${folder}/own-key.pem`, names: ["example.org"] };
  const text = caddyfileOf({ domain: "example.org", admin: false, own }, {
    upstream: { hostname: "127.0.0.1", port: behind.listen },
    admin: { hostname: "127.0.0.1", port: behind.admin },
    ...{ bind: "127.0.0.1", httpPort: ports.http, httpsPort: ports.https, storage: folder, additions: folder },
  });
  assertMatch(text, /read_header 30s\n\s*idle 2m\n/);
  await Deno.writeTextFile(
    `${folder}/Caddyfile`,
    text.replace("read_header 30s", "read_header 1s").replace("idle 2m", "idle 1s"),
  );
  const caddy = new CaddyChild("caddy", `${folder}/Caddyfile`, folder, () => {});
  try {
    await until(async () => await isListening(ports.http) && await isListening(ports.https));
    const caCerts = [await Deno.readTextFile(`${folder}/own.pem`)];
    await fn(async (kind) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: ports[kind] });
      return kind === "http" ? connection : await Deno.startTls(connection, { hostname: "example.org", caCerts });
    });
  } finally {
    caddy.stop();
    await caddy.ended();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Resolves when the other side has closed. */
async function closed(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (await connection.read(buffer).catch(() => null) !== null);
  closeQuietly(connection);
}

Deno.test({
  name: "half a head, an idle connection, and one that says nothing are closed on both ports",
  ignore: noEdge,
}, async () => {
  await withCaddy(async (connect) => {
    for (const kind of ["http", "https"] as const) {
      const half = await connect(kind);
      await writeAll(half, "GET / HTTP/1.1\r\nhost: example.org\r\nx-slow: ");
      const idle = await connect(kind);
      await writeAll(idle, "GET / HTTP/1.1\r\nhost: example.org\r\n\r\n");
      const answer = await new HttpReader(idle).response("GET");
      assertEquals(answer?.status, kind === "http" ? 308 : 200);
      await Promise.all([half, idle, await connect(kind)].map(closed));
    }
  });
});

Deno.test({ name: "a head beyond 64 KB is refused, and a slow body is not", ignore: noEdge }, async () => {
  await withCaddy(async (connect) => {
    using large = await connect("https");
    void writeAll(large, `GET / HTTP/1.1\r\nhost: example.org\r\nx-large: ${"x".repeat(80_000)}\r\n\r\n`);
    assertEquals((await new HttpReader(large).response("GET"))?.status, 431);
    using slow = await connect("https");
    await writeAll(slow, "POST / HTTP/1.1\r\nhost: example.org\r\ncontent-length: 2\r\n\r\na");
    // Longer than a head may take: another connection that sends half a head is closed meanwhile.
    const half = await connect("https");
    await writeAll(half, "GET / HTTP/1.1\r\n");
    await closed(half);
    assert(await writeAll(slow, "b"));
    assertEquals((await new HttpReader(slow).response("POST"))?.status, 200);
  });
});
