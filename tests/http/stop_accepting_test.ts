import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { ListenError, Server } from "../../src/http/server.ts";
import { knock } from "../../src/http/stop_accepting.ts";
import { Child } from "../support/child.ts";
import { noNet, noRun } from "../support/permissions.ts";
import { RawClient, requestText } from "../support/raw_client.ts";
import { asking } from "../support/websocket_peer.ts";

const PROGRAM = new URL("../support/stop_accepting_child.ts", import.meta.url);
const ignore = noNet || noRun || Deno.build.os !== "linux";
const POST = requestText("POST /", ["content-length: 4"]);

Deno.test({
  name: "a server that stops accepting connections serves those that it has, however much of a request has arrived",
  ignore,
  async fn() {
    await using child = Child.withDescriptors(256, PROGRAM);
    const port = Number((await child.until("stdout", /^(\d+)\n/))[1]);
    using kept = await RawClient.connect(port);
    await kept.ask(requestText());
    using silent = await RawClient.connect(port);
    using half = await RawClient.connect(port);
    await half.send(requestText().slice(0, 10));
    using upload = await RawClient.connect(port);
    await upload.send(`${POST}ab`);
    using socket = await RawClient.connect(port);
    await kept.ask(requestText()); // all have been accepted
    await child.write("stop\n");
    await child.until("stdout", /low/);
    const stopped = child.until("stdout", /opened/).then(() => {});
    await knock([{ hostname: "127.0.0.1", port }], stopped, systemClock);
    await assertRejects(() => RawClient.connect(port), Deno.errors.ConnectionRefused);
    await upload.send("cd");
    assertEquals((await upload.answer("POST")).text, "abcd");
    await half.send(requestText().slice(10));
    assertEquals((await half.answer()).text, "ok");
    assertEquals((await silent.ask(requestText())).text, "ok");
    assertEquals((await kept.ask(requestText())).text, "ok");
    await socket.send(requestText("GET /", asking()));
    assertEquals((await socket.reader.head())?.status, 101);
    await socket.send(new Uint8Array([0x81, 0x82, 0, 0, 0, 0, 104, 105])); // the text `hi`, masked with zeros
    assertEquals(await socket.reader.exactly(4), new Uint8Array([0x81, 2, 104, 105]));
    await child.closeInput();
    assertEquals(await child.ended(), 0);
  },
});

Deno.test({
  name: "two servers share an address if the second one asks for that, and neither shares it with a stranger",
  ignore,
  async fn() {
    const make = (port: number, text: string) =>
      new Server(
        { hostname: "127.0.0.1", port },
        () => new Response(text),
        systemClock,
        new FileReserve(systemClock, 0),
      );
    const first = make(0, "first");
    first.listen();
    const { port } = first.endpoint;
    assertThrows(() => make(port, "stranger").listen(), ListenError, "in use");
    assertThrows(() => Deno.listen({ hostname: "127.0.0.1", port }), Deno.errors.AddrInUse);
    const second = make(port, "second");
    second.listen(true);
    await first.shutdown();
    using client = await RawClient.connect(port);
    assertEquals((await client.ask(requestText())).text, "second");
    client[Symbol.dispose]();
    await second.shutdown();
  },
});

Deno.test(
  { name: "a machine without a shell keeps the kernel's setting, which is no error", ignore: noRun },
  async () => {
    const module = new URL("../../src/http/stop_accepting.ts", import.meta.url);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", `import { allowMigration } from "${module}"; await allowMigration();`],
      env: { PATH: "/nowhere" },
      stdin: "null",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
);
