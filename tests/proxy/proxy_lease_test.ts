import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Forwarder, ForwardError } from "../../src/http/forwarder.ts";
import type { Instance } from "../../src/pool/instance.ts";
import { Proxy } from "../../src/proxy/proxy.ts";
import { SlowClients } from "../../src/http/slow_clients.ts";
import { StreamBudget } from "../../src/http/stream_budget.ts";
import { UnansweredRequests } from "../../src/proxy/request_context.ts";
import { settle } from "../support/fake_clock.ts";
import { admitAll, newFront, newKit } from "../support/kit.ts";
import { netTest } from "../support/permissions.ts";

/** A request on its way through the proxy; the test decides about every event. */
interface Exchange {
  readonly client: AbortController;
  readonly completed: PromiseWithResolvers<void>;
  readonly response: Promise<Response>;
  answered: boolean;
}

/** A request that was sent to an app. */
interface Sent {
  resolve(response: Response): void;
  reject(error: unknown): void;
}

/** A proxy with one service; the test plays its instances, apps and clients. */
class World {
  readonly kit = newKit({ maxPending: 8 });
  readonly front = newFront(this.kit);
  readonly unanswered = new UnansweredRequests(this.kit.clock);
  readonly exchanges: Exchange[] = [];
  readonly sent: Sent[] = [];
  readonly instances = new Set<Instance>();
  readonly proxy: Proxy;
  #open = 0;

  constructor() {
    this.front.images.build("app-docker", "sha256:aaa");
    const add = this.kit.fleet.add.bind(this.kit.fleet);
    this.kit.fleet.add = (instance, pool) => {
      this.instances.add(instance);
      add(instance, pool);
    };
    const forwarder: Forwarder = {
      check: () => {},
      forward: (_origin, _head, _upload, signal) => {
        const { promise, resolve, reject } = Promise.withResolvers<Response>();
        const sent = { resolve, reject };
        signal.addEventListener("abort", () => this.#take(sent)?.reject(signal.reason), { once: true });
        this.sent.push(sent);
        return promise;
      },
      leave: () => {},
      [Symbol.dispose]: () => {},
    };
    this.proxy = new Proxy({
      activator: this.front.activator,
      unanswered: this.unanswered,
      forwarder,
      clock: this.kit.clock,
      trustedProxies: [],
      limits: { requestTimeoutMs: 5000, clientTimeoutMs: Infinity },
      slowClients: new SlowClients(this.kit.clock),
      reconciler: { suspect: () => {} },
      admission: admitAll(),
      budget: new StreamBudget(),
      admin: () => undefined,
    });
  }

  arrive(method: string): void {
    const client = new AbortController();
    const request = new Request("http://app.localhost/", {
      method,
      headers: { host: "app.localhost", ...(method === "GET" ? {} : { "content-length": "4" }) },
      ...(method === "GET" ? {} : { body: "body" }),
      signal: client.signal,
    });
    const completed = Promise.withResolvers<void>();
    const info = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 }, completed: completed.promise };
    const response = Promise.resolve(this.proxy.handle(request, info as Deno.ServeHandlerInfo<Deno.NetAddr>));
    const exchange: Exchange = { client, completed, response, answered: false };
    response.then((answer) => {
      exchange.answered = true;
      if (answer.headers.get("x-app") === null) completed.resolve(); // the proxy's own answer, which holds no lease
      else this.#open++;
    });
    completed.promise.catch(() => {}).then(async () => {
      if ((await response).headers.get("x-app") !== null) this.#open--;
    });
    this.exchanges.push(exchange);
  }

  answer(at: number): void {
    this.#take(this.sent[at % this.sent.length])?.resolve(new Response("hello", { headers: { "x-app": "yes" } }));
  }

  fail(at: number, error: Error): void {
    this.#take(this.sent[at % this.sent.length])?.reject(error);
  }

  /** The expected number of leases: one for each request that an app has, or whose answer still streams. */
  get expected(): number {
    return this.sent.length + this.#open;
  }

  get leases(): number {
    return [...this.instances].reduce((sum, { inFlight }) => sum + inFlight, 0);
  }

  /** Ends all requests. */
  async finish(): Promise<void> {
    for (let round = 0; round < 50 && this.exchanges.some(({ answered }) => !answered); round++) {
      for (const launch of await this.launches()) launch.succeed(`http://10.0.1.${round}:8080`);
      while (this.sent.length > 0) this.answer(0);
      await this.kit.clock.advance(1000);
    }
    for (const { completed } of this.exchanges) completed.resolve();
    await this.kit.clock.advance(1000);
  }

  /** The starts that the test has not decided about yet. */
  async launches() {
    const known = this.kit.launcher.called("launch").length;
    const undecided = known - this.decided;
    this.decided = known;
    return await Promise.all(Array.from({ length: undecided }, () => this.kit.launcher.nextLaunch()));
  }

  private decided = 0;

  #take(sent: Sent | undefined): Sent | undefined {
    const at = sent === undefined ? -1 : this.sent.indexOf(sent);
    return at === -1 ? undefined : this.sent.splice(at, 1)[0];
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("GET", "POST", "PUT").map((method) => ["arrive", method] as const) },
    { weight: 3, arbitrary: fc.nat(99).map((at) => ["answer", at] as const) },
    { weight: 3, arbitrary: fc.nat(99).map((at) => ["complete", at] as const) },
    { weight: 1, arbitrary: fc.nat(99).map((at) => ["break", at] as const) },
    { weight: 2, arbitrary: fc.nat(99).map((at) => ["leave", at] as const) },
    fc.tuple(fc.constant("fail" as const), fc.nat(99), fc.constantFrom("unsent", "unanswered", "garbled")),
    { weight: 2, arbitrary: fc.boolean().map((ok) => ["launch", ok] as const) },
    fc.constant(["die"] as const),
    fc.nat(400).map((ms) => ["time", ms] as const),
  ),
  { maxLength: 60 },
);

Deno.test("no lease is lost or counted twice, whatever happens to requests in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const world = new World();
      for (const step of script) {
        switch (step[0]) {
          case "arrive":
            world.arrive(step[1]);
            break;
          case "answer":
            world.answer(step[1]);
            break;
          case "fail":
            world.fail(step[1], new ForwardError(step[2] as "unsent", "made up"));
            break;
          case "complete":
          case "break": {
            const streaming = world.exchanges.filter(({ answered }) => answered);
            const exchange = streaming[step[1] % streaming.length];
            if (step[0] === "complete") exchange?.completed.resolve();
            else exchange?.completed.reject(new Error("made up"));
            break;
          }
          case "leave":
            world.exchanges[step[1] % world.exchanges.length]?.client.abort();
            break;
          case "launch":
            for (const launch of await world.launches()) {
              if (step[1]) launch.succeed("http://10.0.0.2:8080");
              else launch.fail(new Error("made up"));
            }
            break;
          case "die":
            for (const { id } of world.kit.fleet.instances()) world.kit.launcher.end(id);
            break;
          case "time":
            await world.kit.clock.advance(step[1]);
        }
        await settle();
        assertEquals(world.leases, world.expected, `after ${step.join(" ")}`);
      }
      await world.finish();
      assertEquals([world.leases, world.unanswered.size], [0, 0]);
      assertEquals(world.exchanges.filter(({ answered }) => !answered).length, 0);
    }),
    { numRuns: 300 },
  );
});

netTest("a refused WebSocket gives its lease back at once, even if the refusal cannot be sent", async () => {
  await using app = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(null, { status: 403 }),
  );
  const world = new World();
  using proxy = world.proxy;
  const headers = {
    ...{ host: "app.localhost", connection: "Upgrade", upgrade: "websocket" },
    ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" },
  };
  const completed = Promise.withResolvers<void>();
  const info = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 }, completed: completed.promise };
  const request = new Request("http://app.localhost/", { headers });
  const response = proxy.handle(request, info as Deno.ServeHandlerInfo<Deno.NetAddr>);
  (await world.kit.launcher.nextLaunch()).succeed(`http://127.0.0.1:${app.addr.port}`);
  assertEquals([(await response).status, world.leases], [403, 0]);
  completed.reject(new Error("the client is gone"));
  await settle();
  assertEquals(world.leases, 0);
});
