import { assertEquals, assertRejects } from "@std/assert";
import { ForwardError, InstanceGone } from "../../../src/http/forwarder.ts";
import { SlowClients } from "../../../src/http/slow_clients.ts";
import { StreamBudget } from "../../../src/http/stream_budget.ts";
import { WebSocketBridge } from "../../../src/http/websocket/bridge.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { never } from "../../support/kit.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestHead } from "../../support/request_head.ts";
import { until } from "../../support/until.ts";
import { acceptance, KEY, type Received, WebSocketPeer } from "../../support/websocket_peer.ts";

const MB = 1024 * 1024;

/** The client's side of a WebSocket as the platform gives it, but with a client that does only what a test says. */
class StuckSocket {
  readyState: number = WebSocket.CONNECTING;
  bufferedAmount = 0;
  binaryType = "";
  onopen: (() => void) | undefined;
  onclose: ((event: { code: number; reason: string }) => void) | undefined;
  readonly closes: (number | undefined)[] = [];

  open(): void {
    this.readyState = WebSocket.OPEN;
    this.onopen?.();
  }

  send(data: ArrayBuffer): void {
    this.bufferedAmount += data.byteLength;
  }

  close(code?: number): void {
    this.closes.push(code);
    this.readyState = WebSocket.CLOSING;
  }
}

/** A bridge to an app that agrees, with these headers, and then only reads until its connection ends. */
class Scene implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly socket = new StuckSocket();
  readonly stopped: (string | undefined)[] = [];
  readonly app = Promise.withResolvers<WebSocketPeer>();
  /** What the app gets first. */
  readonly received: Promise<Received>;
  isAppOver = false;
  readonly #origin: Origin;
  readonly #bridge: WebSocketBridge;

  constructor(appHeaders: readonly string[] = []) {
    const received = Promise.withResolvers<Received>();
    this.received = received.promise;
    this.#origin = Origin.serving(async (connection) => {
      const request = await connection.reader.head();
      await connection.send(await acceptance(request?.one("sec-websocket-key") ?? "", appHeaders));
      const app = new WebSocketPeer(connection, "app");
      this.app.resolve(app);
      received.resolve(await app.receive());
      await connection.ended();
      this.isAppOver = true;
    });
    const metrics = {
      clientStopped: (service: string | undefined, what: string) => void this.stopped.push(service, what),
      stuckClients: () => {},
    };
    this.#bridge = new WebSocketBridge(this.clock, new SlowClients(this.clock, undefined, metrics), new StreamBudget());
  }

  /** Connects both sides. Returns the end, and whether it has come. */
  async open(signal: AbortSignal = never()) {
    const headers: [string, string][] = [["host", "app.localhost"], ["sec-websocket-key", KEY]];
    const client = {
      ...{ service: "app", clientTimeoutMs: 10_000, appEnded: () => {} },
      info: {
        completed: new Promise<void>(() => {}),
        remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
      },
    } as const;
    const { upgradeWebSocket } = Deno;
    Deno.upgradeWebSocket = () => ({ socket: this.socket as unknown as WebSocket, response: new Response() });
    try {
      const request = new Request("http://app.localhost/", { headers });
      const { ended } = await this.#bridge.open(
        ...[request, requestHead({ headers, websocket: true }), this.#origin.url, signal, client] as const,
      );
      const state = { isOver: false };
      ended!.then(() => state.isOver = true);
      return state;
    } finally {
      Deno.upgradeWebSocket = upgradeWebSocket;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.onclose?.({ code: 1000, reason: "" });
    await this.clock.advance(10_000);
    this.#bridge[Symbol.dispose]();
    await this.#origin[Symbol.asyncDispose]();
  }
}

netTest(
  "a client whose WebSocket does not open within ten seconds holds its instance no longer than its close may take",
  async () => {
    await using scene = new Scene();
    const state = await scene.open();
    await scene.clock.advance(9999);
    assertEquals(scene.isAppOver, false);
    await scene.clock.advance(1);
    await until(() => scene.isAppOver);
    await scene.clock.advance(10_000);
    assertEquals([state.isOver, scene.clock.timers], [true, 0]);
  },
);

netTest("a client that breaks off before its WebSocket is open leaves no timer", async () => {
  await using scene = new Scene();
  await scene.open();
  const { timers } = scene.clock;
  scene.socket.readyState = WebSocket.CLOSED;
  scene.socket.onclose?.({ code: 0, reason: "" });
  await settle();
  assertEquals(scene.clock.timers, timers); // one less, and one more: the app may take ten seconds to answer the close
  await scene.clock.advance(11_000);
  assertEquals(scene.clock.timers, 0);
  await until(() => scene.isAppOver);
});

netTest("an app is told 1011 if its client ends without a close, however the platform calls that", async () => {
  for (const [code, told] of [[0, 1011], [1006, 1011], [1001, 1001], [1005, undefined]] as const) {
    await using scene = new Scene();
    await scene.open();
    scene.socket.open();
    scene.socket.onclose?.({ code, reason: "" });
    assertEquals(await scene.received, { close: told, reason: "" }, `${code}`);
  }
});

netTest("an instance that has gone when its app agrees ends the WebSocket on both sides at once", async () => {
  await using scene = new Scene();
  const gone = new AbortController();
  const signal = gone.signal;
  const addEventListener = signal.addEventListener.bind(signal);
  let listeners = 0;
  // The second one is the bridge's: the instance goes just before it listens.
  signal.addEventListener = (...args: unknown[]) => {
    if (++listeners === 2) gone.abort(new InstanceGone());
    addEventListener(...args as Parameters<typeof addEventListener>);
  };
  const state = await scene.open(signal);
  assertEquals([listeners, scene.socket.closes], [2, [1011]]);
  await until(() => scene.isAppOver);
  await scene.clock.advance(10_000);
  assertEquals([state.isOver, scene.stopped], [true, []]);
});

netTest(
  "a client that takes nothing for its timeout is closed and counted, and one that reads slowly is not",
  async () => {
    for (const isSlow of [true, false]) {
      await using scene = new Scene();
      const { clock, socket, stopped } = scene;
      const state = await scene.open();
      socket.open();
      await (await scene.app.promise).send(new Uint8Array(8 * MB));
      await until(() => socket.bufferedAmount === 8 * MB);
      for (let second = 0; second < 60; second++) {
        if (isSlow) socket.bufferedAmount -= 1000;
        await clock.advance(1000);
        if (!isSlow && second < 9) assertEquals(stopped, []);
      }
      assertEquals([stopped, socket.closes], isSlow ? [[], []] : [["app", "websocket"], [1009]]);
      assertEquals([scene.isAppOver, state.isOver], [!isSlow, !isSlow]);
    }
  },
);

for (
  const [what, header] of [
    ["an extension", "sec-websocket-extensions: permessage-deflate"],
    ["a subprotocol", "sec-websocket-protocol: chat"],
    ["a second Sec-WebSocket-Accept", "sec-websocket-accept: x"],
    ["an invalid header", "x y: 1"],
  ] as const
) {
  netTest(`an app that agrees with ${what} that was not requested is refused, and its connection closed`, async () => {
    await using scene = new Scene([header]);
    const { progress } = await assertRejects(() => scene.open(), ForwardError);
    assertEquals(progress, "garbled");
    await until(() => scene.isAppOver);
  });
}
