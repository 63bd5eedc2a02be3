import { assert, assertEquals } from "@std/assert";
import { Harness } from "../support/harness.ts";
import { Origin, type OriginConnection } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { Random } from "../support/random.ts";
import { type RawClient, requestText } from "../support/raw_client.ts";
import { turns } from "../support/until.ts";

const REQUESTS = 10_000;
const CLIENTS = 24;
/** The most requests that an instance lives for: at least one of each client, since a request is not repeated for ever. */
const LIFETIME = 100;
const SEED = 20261124;

/** Apps that are killed at any moment, and the requests that have reached them. */
class MortalApps {
  /** How often each POST has arrived, in whole or in part. */
  readonly deliveries = new Map<string, number>();
  readonly origins: Origin[] = [];
  readonly #random = new Random(SEED);
  #left = 0;
  /** Ends the container of the newest app. */
  kill: () => void = () => {};

  /** Starts the next one; returns where it is. */
  next(): string {
    this.#left = this.#random.between(CLIENTS, LIFETIME);
    const origin = Origin.serving((connection) => this.#serve(connection));
    this.origins.push(origin);
    return origin.url;
  }

  async #serve(connection: OriginConnection): Promise<void> {
    for (;;) {
      const head = await connection.reader.head();
      if (head === undefined) return;
      const post = head.startLine.startsWith("POST");
      if (post) this.deliveries.set(head.target, (this.deliveries.get(head.target) ?? 0) + 1);
      const isLast = --this.#left === 0;
      const moment = this.#random.pick(["request", "answer", "head", "body"]);
      if (isLast && moment === "request") return this.kill();
      const body = await connection.reader.exactly(Number(head.one("content-length") ?? 0));
      const content = `${head.target} ${body.length} ${"x".repeat(Number(head.one("x-answer")))}`;
      const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n${content}`;
      const begun = { request: 0, answer: 0, head: 20, body: answer.length - 5 }[moment];
      if (!await connection.send(answer.slice(0, begun))) return;
      if (isLast) return this.kill();
      if (!await connection.send(answer.slice(begun))) return;
    }
  }
}

netTest(
  "if instances are killed at any moment, no idempotent request fails, and no POST arrives twice",
  async () => {
    const apps = new MortalApps();
    await using cless = await Harness.warm({ forward: "exact", origin: () => apps.next() });
    const random = new Random(SEED, 1);
    const kills: Promise<void>[] = [];
    const kill = async () => {
      const [origin, { id }] = [apps.origins.at(-1)!, cless.instance];
      // The engine reports the end before the connections close, or after cless has noticed that.
      const isLate = random.chance(0.7);
      if (!isLate) cless.launcher.end(id);
      const gone = origin[Symbol.asyncDispose]();
      if (isLate) {
        await turns(random.between(1, 10));
        cless.launcher.end(id);
      }
      await gone;
    };
    apps.kill = () => void kills.push(kill());
    let asked = 0;
    let failedPosts = 0;
    const load = async () => {
      let client: RawClient | undefined;
      while (asked < REQUESTS) {
        const target = `/${++asked}`;
        const method = random.pick(["GET", "GET", "GET", "PUT", "POST", "POST"]);
        const body = method === "GET" ? "" : "b".repeat(random.pick([0, 10, 5000, 60_000]));
        const size = random.pick([0, 10, 1000, 20_000, 60_000]);
        client ??= await cless.connect();
        const headers = [`x-answer: ${size}`, ...(method === "GET" ? [] : [`content-length: ${body.length}`])];
        const answer = await client.ask(requestText(`${method} ${target}`, headers, body));
        if (answer.status === 200) assertEquals(answer.text, `${target} ${body.length} ${"x".repeat(size)}`);
        else {
          assertEquals([method, answer.status, answer.one("cless-error")], ["POST", 502, "upstream_failed"]);
          failedPosts++;
        }
        if (answer.status === 200 && random.chance(0.9)) continue;
        client[Symbol.dispose]();
        client = undefined;
      }
      client?.[Symbol.dispose]();
    };
    await Promise.all(Array.from({ length: CLIENTS }, load));
    await Promise.all(kills);
    assert(kills.length > 20, `only ${kills.length} were killed`);
    assert(failedPosts < 10 * kills.length, `${failedPosts} POSTs failed`);
    for (const [target, count] of apps.deliveries) assert(count === 1, `POST ${target} came ${count} times`);
    await Promise.all(apps.origins.map((origin) => origin[Symbol.asyncDispose]()));
  },
);
