import { assert, assertEquals } from "@std/assert";
import { build, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { LIVE_APP } from "./live_app.ts";

const LEAST_REQUESTS = 10_000;
const SLOW_LINES = 200;

/** Requests that go on until they are told to stop, and what became of them. */
class Load {
  readonly failures: string[] = [];
  /** How many requests each answer was given to, by the app's own words. */
  readonly answers = new Map<string, number>();
  requests = 0;
  #stopping = false;
  readonly #workers: Promise<void>[] = [];

  stop(): Promise<void[]> {
    this.#stopping = true;
    return Promise.all(this.#workers);
  }

  /** @param fresh Whether each request comes over a connection of its own. */
  begin(program: Program, label: string, fresh: boolean): void {
    const { hostname, port } = program.proxy;
    this.#workers.push((async () => {
      using client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: fresh ? 0 : 1 });
      while (!this.#stopping) {
        this.requests++;
        try {
          const headers = { host: `${label}.localhost`, ...(fresh ? { connection: "close" } : {}) };
          const response = await fetch(`http://${hostname}:${port}/`, { client, headers });
          const text = await response.text();
          if (response.status !== 200) this.failures.push(`${response.status} ${text}`);
          else this.answers.set(text, (this.answers.get(text) ?? 0) + 1);
        } catch (error) {
          this.failures.push(String(error));
        }
      }
    })());
  }

  /** Sends over one WebSocket and waits for each echo, until it is told to stop. */
  beginWebSocket(program: Program): void {
    const socket = new WebSocket(`ws://localhost:${program.proxy.port}/`); // it takes no other Host
    const ended = Promise.withResolvers<void>();
    let awaited = 0;
    const next = () => {
      if (this.#stopping) return socket.close(1000);
      this.requests++;
      socket.send(String(++awaited));
    };
    socket.onopen = next;
    socket.onmessage = ({ data }) => {
      if (data !== String(awaited)) this.failures.push(`the WebSocket echoed ${data} and not ${awaited}`);
      setTimeout(next, 1);
    };
    socket.onerror = (event) => this.failures.push(`the WebSocket failed: ${(event as ErrorEvent).message}`);
    socket.onclose = ({ code }) => {
      if (!this.#stopping) this.failures.push(`the WebSocket was closed with ${code}`);
      ended.resolve();
    };
    this.#workers.push(ended.promise);
  }
}

Deno.test({
  name:
    "changes under load: of at least 10,000 requests none fails, whatever is deployed, split, rolled back or rebuilt",
  ignore: noDocker,
}, async () => {
  await using _live = await build("e2e-live-docker", LIVE_APP);
  await using _first = await build("e2e-found-docker", `${LIVE_APP}\nENV GREETING=found-1`);
  await using program = await Program.start({ logLevel: "info" });
  const ok = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await program.send(method, `/v1/services/live${path}`, body);
    assert(status === 200 || status === 201, `${method} ${path}: ${status} ${text}`);
  };
  const deploy = (greeting: string, more = {}) =>
    ok("PUT", "", { image: "e2e-live-docker", env: { GREETING: greeting }, ...more });

  await deploy("one", { domains: ["localhost"] });
  await program.get("live");
  await program.get("e2e-found");
  const load = new Load();
  for (const fresh of [false, false, true]) {
    load.begin(program, "live", fresh);
    load.begin(program, "e2e-found", fresh);
  }
  load.beginWebSocket(program);
  const download = program.get("live", "/slow");

  const meets = (answer: string) => until(() => (load.answers.get(answer) ?? 0) > 50);
  await meets("one");
  await deploy("two");
  await meets("two");
  await ok("PUT", "/traffic", [{ revision: "live-00001", percent: 50 }, { revision: "latest", percent: 50 }]);
  const ones = load.answers.get("one")!;
  await until(() => load.answers.get("one")! > ones + 50);
  await ok("POST", "/rollback");
  await using _second = await build("e2e-found-docker", `${LIVE_APP}\nENV GREETING=found-2`);
  await meets("found-2");
  await deploy("three", { traffic: 10, tag: "next" });
  await meets("three");
  await ok("PUT", "/traffic", [{ revision: "latest", percent: 100 }]);
  await deploy("four");
  await meets("four");
  await program.send("PUT", "/v1/services/e2e-found", { image: "e2e-live-docker", env: { GREETING: "declared" } });
  await meets("declared");

  const { status, text } = await download;
  await until(() => load.requests >= LEAST_REQUESTS);
  await load.stop();
  assertEquals([status, text], [200, "one\n".repeat(SLOW_LINES)]);
  assertEquals(load.failures, []);
  const answers = [...load.answers].map(([answer, count]) => `${answer} ${count}`).join(", ");
  console.log(`changes under load: ${load.requests} requests, ${load.failures.length} failed (${answers})`);
});

/** Resolves when the load has come to that; a load that fails for long is given up. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`It never came to this: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
