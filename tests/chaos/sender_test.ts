import { assert, assertEquals } from "@std/assert";
import { TOOLS, versionOf } from "../bench/support/tool.ts";
import { noNet, noRead, noRun, noWrite } from "../support/permissions.ts";
import { buildSender, type Flow, type FlowReport, type Sent, Traffic } from "./traffic.ts";

const ignore = noNet || noRead || noRun || noWrite || await versionOf(TOOLS.go) === undefined;

/** The sender, which is made once, and goes with this process. */
const built = ignore ? undefined : (() => {
  const folder = Deno.makeTempDirSync();
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  let making: Promise<string> | undefined;
  return () => making ??= buildSender(folder, new AbortController().signal);
})();

/** What an app answers to a GET: the token that only this request has. */
const right = (request: Request) => new Response(`hello ${new URL(request.url).pathname.slice(1)}`);

/** Sends some flows to a server until there are so many answers of any kind. */
async function send(
  handler: (request: Request) => Response | Promise<Response>,
  flows: readonly Flow[],
  ended = 20,
): Promise<Sent> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  try {
    await using traffic = Traffic.start(await built!(), `http://127.0.0.1:${server.addr.port}/`, flows, 1);
    await traffic.until("answers", ({ failed, good }) => failed + good >= ended, 30_000);
    return await traffic.finish();
  } finally {
    await server.shutdown();
  }
}

const get: Flow = { name: "gets", kind: "get", host: "app.localhost", rate: 200 };

Deno.test({
  name: "the sender of the chaos run counts every answer, and takes only its own for a good one",
  ignore,
  fn: async () => {
    let count = 0;
    const hosts = new Set<string | null>();
    const { failures, flows: [report] } = await send((request) => {
      hosts.add(request.headers.get("host"));
      count++;
      if (count === 5) return new Response("hello somebody else");
      if (count === 6) return new Response("busy", { status: 503, headers: { "cless-error": "overloaded" } });
      return right(request);
    }, [get]);
    const { good, greetings, sent } = report!;
    assertEquals([...hosts], ["app.localhost"]);
    assertEquals([sent, good], [count, count - 2]);
    assertEquals(failures.map(({ cause }) => cause).sort(), ["503 overloaded", `wrong answer: "hello somebody else"`]);
    assertEquals(greetings, { hello: count - 2 });
  },
});

Deno.test({
  name: "the sender goes on while nothing is answered, and tells when a request was under way",
  ignore,
  fn: async () => {
    const held: (() => void)[] = [];
    const began = performance.now();
    let isOpen = false;
    const { failures, flows: [report] } = await send(async (request) => {
      if (held.length < 10 && !isOpen) {
        const { promise, resolve } = Promise.withResolvers<void>();
        held.push(resolve);
        // Whoever waited for an answer first would never send the tenth.
        if (held.length === 10) {
          isOpen = true;
          for (const answer of held) answer();
        }
        await promise;
        return new Response("late", { status: 500 });
      }
      return right(request);
    }, [get]);
    assertEquals(failures.length, 10);
    for (const { began: from, ended } of failures) {
      assert(from >= began - 1 && ended >= from && ended <= performance.now());
    }
    assert(report!.longestMs > 0);
  },
});

Deno.test({
  name: "uploads are sent whole, with their length or in chunks, and an app that counts otherwise is found out",
  ignore,
  fn: async () => {
    const lengths: [string | null, number][] = [];
    const upload: Flow = { name: "length", kind: "upload", host: "app.localhost", rate: 50, ms: 20, bytes: 50_000 };
    const { failures } = await send(async (request) => {
      const { byteLength } = await request.arrayBuffer();
      lengths.push([request.headers.get("content-length"), byteLength]);
      return new Response(`${byteLength - 1} 00000000`);
    }, [upload, { ...upload, name: "chunks", chunked: true }]);
    assertEquals(new Set(lengths.map(String)), new Set(["50000,50000", ",50000"]));
    assert(failures.length >= 20 && failures.every(({ cause }) => cause.startsWith("wrong answer")));
  },
});

Deno.test({
  name: "a stream has to end with what only this request knows, and a WebSocket has to echo",
  ignore,
  fn: async () => {
    const flows: Flow[] = [
      { name: "whole", kind: "stream", host: "whole.localhost", rate: 50, ms: 10 },
      { name: "cut", kind: "stream", host: "cut.localhost", rate: 50, ms: 10 },
      { name: "echo", kind: "socket", host: "echo.localhost", rate: 50, ms: 10 },
      { name: "gone", kind: "socket", host: "gone.localhost", rate: 50, ms: 10 },
    ];
    const { failures, flows: reports } = await send(
      (request) => {
        const { pathname, hostname } = new URL(request.url);
        if (hostname.startsWith("whole")) return new Response(`a line\n${pathname.slice(1)}`);
        if (hostname.startsWith("cut")) return new Response("a line\n");
        const { response, socket } = Deno.upgradeWebSocket(request);
        socket.onmessage = ({ data }) => hostname.startsWith("echo") ? socket.send(data) : socket.close(1001);
        return response;
      },
      flows,
      80,
    );
    const by = (wanted: string): FlowReport => reports.find(({ name }) => name === wanted)!;
    assertEquals([by("whole").good, by("echo").good], [by("whole").sent, by("echo").sent]);
    assertEquals([by("cut").good, by("gone").good], [0, 0]);
    assertEquals(failures.filter(({ answering }) => !answering), []);
  },
});

Deno.test({
  name: "clients that hold on are told how they were ended, or that nobody has",
  ignore,
  fn: async () => {
    const idle: Flow = { name: "idle", kind: "idle", host: "app.localhost", clients: 3 };
    const half: Flow = { name: "half", kind: "half", host: "app.localhost", clients: 2 };
    const late = () => new Response("", { status: 408, headers: { "cless-error": "client_timeout" } });
    const { flows } = await send((request) => request.method === "POST" ? late() : right(request), [idle, half, get]);
    assertEquals(flows.slice(0, 2).map(({ ends }) => ends), [{ "held to the end": 3 }, { "408 client_timeout": 2 }]);
  },
});

Deno.test({
  name: "a server that nobody listens for any more is told as refused",
  ignore,
  fn: async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    await using traffic = Traffic.start(await built!(), `http://127.0.0.1:${port}/`, [get], 1);
    await traffic.until("failures", ({ failed }) => failed >= 3, 30_000);
    const { failures } = await traffic.finish();
    assertEquals(new Set(failures.map(({ cause }) => cause)), new Set(["refused"]));
  },
});
