import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { readProc } from "../../src/base/machine.ts";
import { upstreamIn } from "../../src/edge/foreground.ts";
import { freePorts } from "../support/free_ports.ts";
import { HttpReader, writeAll } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { isListening, noEdge, ownCertificate } from "../support/pebble.ts";
import { until } from "../support/until.ts";
import { asking, WebSocketPeer } from "../support/websocket_peer.ts";
import { Behind, curlHas, EdgeProcess, EdgeRig } from "./kit.ts";

/** Names that get a certificate in these tests. */
const SERVED = ["shop.example.org", "golang.example.org", "www.example.com", "blocked.example.org"];

function edgeTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noEdge, fn });
}

/** What stands behind the edge, and tells what it got. */
function echo(): Behind {
  return new Behind((name) => SERVED.includes(name), (request) => {
    return Response.json({ url: request.url, headers: [...request.headers] });
  });
}

edgeTest("each name that is served gets a certificate by HTTP-01, and no other name gets any", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await using edge = await rig.run(behind);
  for (const name of ["shop.example.org", "golang.example.org", "www.example.com"]) {
    assertEquals((await rig.get(name)).status, 200, name);
    await edge.logged("served key authentication", { identifier: name, challenge: "http-01" });
  }
  const asked = behind.asked.length;
  await assertRejects(() => rig.get("nobody.example.org"));
  assertEquals(behind.asked.slice(asked), ["nobody.example.org"]);
  const kept = await Array.fromAsync(Deno.readDir(`${rig.folder}/certificates`));
  const names = await Array.fromAsync(Deno.readDir(`${rig.folder}/certificates/${kept[0]!.name}`));
  assertEquals(names.map(({ name }) => name).sort(), ["golang.example.org", "shop.example.org", "www.example.com"]);
});

edgeTest("how to start cless beside it is the last thing that it says when it starts", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await using edge = await rig.run(behind);
  const { command } = await edge.logged("now start cless beside it");
  assertEquals(edge.lines.at(-1)?.message, "now start cless beside it");
  assertStringIncludes(String(command), `cless --listen 127.0.0.1:${behind.listen} --trusted-proxy 127.0.0.1/32`);
  assertEquals(edge.lines.filter(({ message }) => message === "serving initial configuration").length, 1);
  assertEquals(await upstreamIn(rig.folder), `127.0.0.1:${behind.listen}`);
  assertEquals(await upstreamIn(`${rig.folder}/none`), undefined);
});

edgeTest("cless gets the true client and host, whatever the client's own headers pretend", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await using _edge = await rig.run(behind);
  const { text } = await rig.get("shop.example.org", "/a%20b?c", [
    "x-forwarded-for: 203.0.113.9",
    "x-forwarded-proto: http",
    "x-forwarded-host: evil.example.org",
    "forwarded: for=203.0.113.9;proto=http",
  ]);
  const { url, headers } = JSON.parse(text);
  const { forwarded, ...known } = Object.fromEntries(headers);
  assertEquals(url, "http://shop.example.org/a%20b?c");
  assertEquals(forwarded, undefined);
  assertEquals(
    [known["x-forwarded-for"], known["x-forwarded-proto"], known["x-forwarded-host"]],
    ["127.0.0.1", "https", "shop.example.org"],
  );
});

edgeTest("HTTP/2 is spoken where a client can, and HTTP/3 if curl can", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await using _edge = await rig.run(behind);
  const version = ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"];
  assertEquals(await rig.curl("shop.example.org", "--http2", ...version), { code: 0, out: "2 200" });
  assertEquals(await rig.curl("shop.example.org", "--http1.1", ...version), { code: 0, out: "1.1 200" });
  if (!await curlHas("HTTP3")) return;
  assertEquals(await rig.curl("shop.example.org", "--http3-only", ...version), { code: 0, out: "3 200" });
});

edgeTest("plain HTTP leads to HTTPS on every host, with path and query", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await using _edge = await rig.run(behind);
  const answer = await fetch(`http://127.0.0.1:${rig.httpPort}/a%20b?c=d`, { redirect: "manual" });
  await answer.body?.cancel();
  assertEquals(answer.status, 308);
  assertEquals(answer.headers.get("location"), `https://127.0.0.1:${rig.httpsPort}/a%20b?c=d`);
});

edgeTest("a WebSocket passes in both directions", async () => {
  await using rig = await EdgeRig.start();
  await using behind = new Behind((name) => SERVED.includes(name), (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`got ${data}`);
    return response;
  });
  await using _edge = await rig.run(behind);
  using tls = await rig.connect("shop.example.org");
  const reader = new HttpReader(tls);
  const client = new WebSocketPeer({ reader, send: (data) => writeAll(tls, data).then(() => true) }, "client");
  await writeAll(tls, ["GET / HTTP/1.1", "host: shop.example.org", ...asking()].join("\r\n") + "\r\n\r\n");
  assertEquals((await reader.response("GET"))?.status, 101);
  await client.send("hello");
  assertEquals(await client.receive(), { text: "got hello" });
  await client.close(1000, "done");
  assertEquals(await client.receive(), { close: 1000, reason: "done" });
});

edgeTest("a certificate that ends is renewed at the next visit", async () => {
  await using rig = await EdgeRig.start(6);
  await using behind = echo();
  await using edge = await rig.run(behind);
  assertEquals((await rig.get("shop.example.org")).status, 200);
  await until(async () => {
    const { status } = await rig.get("shop.example.org");
    assertEquals(status, 200);
    return edge.lines.some(({ message }) => message === "certificate renewed successfully");
  });
  assertEquals((await rig.get("shop.example.org")).status, 200);
});

edgeTest("a certificate of one's own is used for its names, and other names still get theirs", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await ownCertificate(rig.folder, "own", "DNS:example.org", "DNS:*.example.org");
  const files = ["--cert", `${rig.folder}/own.pem`, "--key", `${rig.folder}/own-key.pem`];
  await using _edge = await rig.run(behind, files);
  const own = [await Deno.readTextFile(`${rig.folder}/own.pem`)];
  for (const name of ["example.org", "nobody.example.org"]) (await rig.connect(name, own)).close();
  assertEquals(behind.asked, []);
  assertEquals((await rig.get("www.example.com")).status, 200);
  assertEquals(behind.asked, ["www.example.com"]);
});

// One with a body gets 502 until https://github.com/caddyserver/caddy/pull/7547.
edgeTest("requests without a body wait while cless restarts, and none is sent twice", async () => {
  await using rig = await EdgeRig.start();
  await using gate = new Behind((name) => SERVED.includes(name), () => new Response());
  const listen = freePorts(1);
  const seen: string[] = [];
  // It closes each connection after the answer: a request on one that is about to close would be sent again.
  const serve = () =>
    Origin.answering(({ target }) => {
      seen.push(target);
      return "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    }, listen);
  let origin = serve();
  await using _edge = await rig.run({ admin: gate.admin, listen });
  using client = await rig.client("shop.example.org");
  const sent: string[] = [];
  const request = async (method: string) => {
    const path = `/${crypto.randomUUID()}`;
    sent.push(path);
    return await client.request(method, path);
  };
  assertEquals(await request("GET"), 200);
  for (let restart = 0; restart < 3; restart++) {
    await origin[Symbol.asyncDispose]();
    const held = ["GET", "HEAD", "OPTIONS", "DELETE"].map(request);
    await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: listen }));
    origin = serve();
    assertEquals(await Promise.all(held), [200, 200, 200, 200]);
  }
  await origin[Symbol.asyncDispose]();
  assertEquals(seen.sort(), sent.sort());
});

edgeTest("what was sent to a cless that has died is not sent again", async () => {
  await using rig = await EdgeRig.start();
  await using gate = new Behind((name) => SERVED.includes(name), () => new Response());
  const listen = freePorts(1);
  await using dying = Origin.serving((connection) => connection.reader.request(), listen);
  await using _edge = await rig.run({ admin: gate.admin, listen });
  assertEquals((await rig.get("shop.example.org")).status, 502);
  assertEquals(dying.connections, 1);
});

edgeTest("a Caddy that cannot start or dies ends run with its reason", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  await Deno.writeTextFile(`${rig.folder}/wrong.caddy`, "nonsense {");
  await using wrong = EdgeProcess.start(rig.flags(behind));
  assertEquals(await wrong.exit(), 1);
  assertStringIncludes(wrong.lines.at(-1)!.message, "cless: Caddy has ended with exit code 1: ");
  await Deno.remove(`${rig.folder}/wrong.caddy`);

  await using killed = await rig.run(behind);
  const [caddy] = (await readProc(`/proc/${killed.pid}/task/${killed.pid}/children`)).trim().split(" ");
  Deno.kill(Number(caddy), "SIGKILL");
  assertEquals(await killed.exit(), 1);
  assertStringIncludes(killed.lines.at(-1)!.message, "cless: Caddy has ended with exit code 137: ");
});

edgeTest("a signal lets Caddy finish what is in flight, and then ends both", async () => {
  await using rig = await EdgeRig.start();
  const { promise: answered, resolve: answer } = Promise.withResolvers<Response>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  await using behind = new Behind((name) => SERVED.includes(name), () => {
    arrive();
    return answered;
  });
  await using edge = await rig.run(behind);
  const asked = rig.get("shop.example.org");
  await arrived;
  const ended = edge.end();
  await edge.logged("shutting down apps, then terminating");
  answer(new Response("late"));
  assertEquals((await asked).text, "late");
  assertEquals(await ended, 0);
  assertEquals(await isListening(rig.httpsPort), false);
});

edgeTest("a port that is taken, or a Caddy that is missing, is said before anything starts", async () => {
  await using rig = await EdgeRig.start();
  await using behind = echo();
  using _taken = Deno.listen({ hostname: "127.0.0.1", port: rig.httpPort });
  await using edge = EdgeProcess.start(rig.flags(behind));
  assertEquals(await edge.exit(), 1);
  assertStringIncludes(edge.lines[0]!.message, `cless: port ${rig.httpPort} is in use by deno (pid ${Deno.pid})`);
  await using missing = EdgeProcess.start([...rig.flags(behind), "--caddy", "/nowhere/caddy"]);
  assertEquals(await missing.exit(), 1);
  assertEquals(missing.lines.map(({ message }) => message), [
    "cless: there is no program /nowhere/caddy; name Caddy with --caddy",
  ]);
});
