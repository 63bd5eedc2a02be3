import { assertEquals } from "@std/assert";
import { type Forwarder, ForwardError } from "../../src/http/forwarder.ts";
import { SlowClients } from "../../src/http/slow_clients.ts";
import { StreamBudget } from "../../src/http/stream_budget.ts";
import type { Instance } from "../../src/pool/instance.ts";
import { Proxy } from "../../src/proxy/proxy.ts";
import { UnansweredRequests } from "../../src/proxy/request_context.ts";
import { admitAll, newFront, newKit } from "../support/kit.ts";

/** Ends a test that would otherwise run for ever. */
const FAR_TOO_MANY = 100;

/** A service with two ready instances, whose apps close connections instead of answering. */
async function twoInstances(unanswered: (origin: string, instances: readonly Instance[]) => void) {
  const kit = newKit();
  const front = newFront(kit);
  const instances: Instance[] = [];
  kit.fleet.add = (instance) => void instances.push(instance);
  front.images.build("app-docker", "sha256:aaa");
  const pool = front.convention.adopt("app", "sha256:aaa")!;
  for (const id of ["one", "two"]) {
    const origin = `http://${id}`;
    pool.adopt({ id, service: "app", revision: "app-00001", imageId: "sha256:aaa", state: "running", origin });
    await pool.settled();
  }
  const asked: string[] = [];
  const forwarder: Forwarder = {
    check: () => {},
    forward(origin) {
      asked.push(origin);
      unanswered(origin, instances);
      const progress = asked.length < FAR_TOO_MANY ? "unanswered" : "garbled";
      return Promise.reject(new ForwardError(progress, "the connection was closed"));
    },
    leave: () => {},
    [Symbol.dispose]: () => {},
  };
  const waiting = new UnansweredRequests(kit.clock);
  const answered: [service: string | undefined, status: number][] = [];
  const proxy = new Proxy({
    activator: front.activator,
    unanswered: waiting,
    forwarder,
    clock: kit.clock,
    trustedProxies: [],
    limits: { requestTimeoutMs: 10_000, clientTimeoutMs: Infinity },
    slowClients: new SlowClients(kit.clock),
    reconciler: { suspect: () => {} },
    admission: admitAll(),
    budget: new StreamBudget(),
    metrics: { requested: (service, _, status) => void answered.push([service, status]), waited: () => {} },
    admin: () => undefined,
  });
  const remoteAddr = { transport: "tcp", hostname: "127.0.0.1", port: 1 };
  const ask = async (method: string) => {
    const request = new Request("http://app.localhost/", { method, headers: { host: "app.localhost" } });
    const info = { remoteAddr, completed: new Promise<void>(() => {}) };
    const response = await kit.clock.until(
      Promise.resolve(proxy.handle(request, info as Deno.ServeHandlerInfo<Deno.NetAddr>)),
    );
    return [response.status, response.headers.get("cless-error")];
  };
  return { instances, asked, answered, waiting, ask };
}

Deno.test("a request that neither of two instances answers is sent once to each, and then ends as a 502", async () => {
  // Other requests occupy the instance that has just failed, so that the other one is chosen.
  const { answered, asked, ask, instances, waiting } = await twoInstances((origin, all) => {
    const [failing, other] = all[0]!.origin === origin ? [all[0]!, all[1]!] : [all[1]!, all[0]!];
    while (failing.inFlight <= other.inFlight + 1) failing.claim();
  });
  assertEquals(instances.map(({ id, state }) => [id, state]), [["one", "ready"], ["two", "ready"]]);
  assertEquals(await ask("GET"), [502, "upstream_failed"]);
  assertEquals(asked, ["http://one", "http://two"]);
  assertEquals(answered, [["app", 502]]);
  assertEquals(waiting.size, 0);
});

Deno.test("a request that twice gets no answer from one instance is not sent to the other one", async () => {
  const { asked, ask, waiting } = await twoInstances(() => {});
  assertEquals(await ask("GET"), [502, "upstream_failed"]);
  assertEquals(asked, ["http://one", "http://one"]);
  assertEquals(waiting.size, 0);
});

Deno.test("a request that must not be sent again is not sent to the other instance", async () => {
  const { asked, ask } = await twoInstances(() => {});
  assertEquals(await ask("POST"), [502, "upstream_failed"]);
  assertEquals(asked, ["http://one"]);
});
