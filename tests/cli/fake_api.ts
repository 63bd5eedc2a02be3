import { noNet } from "../support/permissions.ts";
import { type Run, runMain, runWithInput } from "./run_main.ts";

/** A request that the API has got. */
export interface Asked {
  /** Such as `PUT /v1/services/web?wait=false`. */
  readonly line: string;
  readonly headers: Headers;
  readonly text: string;
}

/** An answer: a response, or its JSON. */
export type Answer = Response | object | ((asked: Asked) => Response | object | Promise<Response>);

/** An admin API that answers from a table, and records its requests. */
export class FakeApi implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** By method and path; an entry with the query comes before the one without. */
  readonly answers: Record<string, Answer>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param port Where it answers; any port by default. */
  constructor(answers: Record<string, Answer>, port = 0) {
    this.answers = answers;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Runs a verb against it. */
  run(...args: string[]): Promise<Run> {
    return runMain(...args, "--server", this.url, "--token", "secret");
  }

  /** Runs a verb against it, as a process of its own with this standard input. */
  runWith(input: string, ...args: string[]): Promise<Run> {
    return runWithInput(input, ...args, "--server", this.url, "--token", "secret");
  }

  /** The requests that would change something. */
  get changes(): string[] {
    return this.asked.map(({ line }) => line).filter((line) => !line.startsWith("GET "));
  }

  /** What was sent with a request, as JSON. */
  sent(line: string): unknown {
    return JSON.parse(this.asked.findLast((asked) => asked.line === line)!.text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const asked = {
      line: `${request.method} ${pathname}${search}`,
      headers: request.headers,
      text: await request.text(),
    };
    this.asked.push(asked);
    if (asked.headers.get("authorization") !== "Bearer secret") return problem(401, "The token is missing or wrong");
    const answer = this.answers[asked.line] ?? this.answers[`${request.method} ${pathname}`];
    if (answer === undefined) return problem(404, `there is no ${pathname}`);
    const given = typeof answer === "function" ? await answer(asked) : answer;
    return given instanceof Response ? given.clone() : Response.json(given);
  }
}

/** A refusal of the admin API. */
export function problem(status: number, detail: string, more: object = {}): Response {
  const headers = { "content-type": "application/problem+json" };
  return new Response(JSON.stringify({ type: "about:blank", title: "Refused", status, detail, ...more }), {
    status,
    headers,
  });
}

/** A stream of these events, which stays open afterwards. */
export function events(...list: [type: string, data: object][]): Answer {
  return () => {
    const text = list.map(([type, data], id) => `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`).join(
      "",
    );
    const body = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode(`: hi\n\n${text}`)) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

/** A test with an admin API that has these answers. */
export function apiTest(name: string, answers: Record<string, Answer>, fn: (api: FakeApi) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noNet,
    fn: async () => {
      await using api = new FakeApi({ ...answers });
      await fn(api);
    },
  });
}

const AGES: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The time a while ago, such as `3m`, as the admin API writes it. */
export function ago(length: string): string {
  return new Date(Date.now() - parseInt(length) * AGES[length.at(-1)!]! - 500).toISOString();
}

/** The lines of a table without its column AT (ZONE), which has a time of day, and the date if it is not today. */
export function withoutTimes(out: string): string[] {
  return out.split("\n").map((line) =>
    line.replace(/(?<= {2})(?:AT \([\w/+-]+\)|(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d) +/, "")
  );
}

/** A service named web with two revisions. */
export const WEB = {
  name: "web",
  url: "http://web.localhost:8080",
  state: "ready",
  domains: ["www.example.org"],
  latestRevision: "web-00002",
  traffic: [{ revision: "latest", percent: 70 }, { revision: "web-00001", percent: 30, tag: "old" }],
  tagUrls: { old: "https://old--web.example.org" },
  etag: "4",
  revisionHistory: 20,
  createdAt: ago("3d"),
  updatedAt: ago("5m"),
};

/** The template of its latest revision. */
export const TEMPLATE = {
  image: "web:v2",
  pullPolicy: "missing",
  port: 8080,
  env: { MODE: "fast", KEY: "two\nlines" },
  secretEnv: { TOKEN: "web.token" },
  command: [],
  volumes: [{ source: "data", path: "/data", readOnly: false }],
  concurrency: 0,
  minInstances: 0,
  maxInstances: 1,
  readiness: { path: "/" },
  memory: "256m",
};

/** Its revisions, as they are listed. */
export const REVISIONS = [
  { name: "web-00002", image: "web:v2", percent: 70, latest: true, createdAt: ago("5m") },
  { name: "web-00001", image: "web:v1", percent: 30, latest: false, tag: "old", createdAt: ago("3d") },
].map((revision) => ({ service: "web", imageId: "sha256:1", ...revision }));

/** Deploys of it that have ended: one that failed, one that was called off, and one that worked. */
export const DEPLOYS = [
  {
    ...{ revision: "web-00003", image: "web:v3", by: "ci", startedAt: ago("91s"), durationMs: 31_000 },
    ...{ outcome: "failed", reason: "it ended with code 1; look at KEY", output: ["panic: no \x1b[31mKEY\x1b[0m"] },
  },
  {
    ...{ image: "web:v3", by: "alice", startedAt: ago("125s"), durationMs: 5000 },
    ...{ outcome: "called off", reason: "cless is shutting down", output: [] },
  },
  {
    ...{ revision: "web-00002", image: "web:v2", by: "ci", startedAt: ago("5m"), durationMs: 250 },
    ...{ outcome: "deployed", output: [] },
  },
];

/** The answers of an admin API with the service web. */
export const ANSWERS: Record<string, Answer> = {
  "GET /v1/services": [WEB],
  "GET /v1/services/web": WEB,
  "GET /v1/services/web/wakes": [],
  "GET /v1/services/web/revisions": REVISIONS,
  "GET /v1/services/web/revisions/web-00002": { ...REVISIONS[0], template: TEMPLATE },
  "GET /v1/instances": [{
    id: "web-00002-a1b2",
    service: "web",
    revision: "web-00002",
    state: "ready",
    address: "172.20.0.2:8080",
    inFlight: 3,
    memoryBytes: 25_690_112,
    startedAt: ago("2m"),
    lastUsedAt: ago("1m"),
    coldStartMs: 312,
  }],
};

export const FAILURE = { reason: "it ended with code 1", at: ago("1m"), count: 4, retryInS: 2 };

export const FAILING: Record<string, Answer> = {
  ...ANSWERS,
  "GET /v1/services/web/revisions": [
    { ...REVISIONS[0], failure: FAILURE },
    { ...REVISIONS[1], failure: { reason: "no answer", at: ago("2m"), count: 1 } },
    { ...REVISIONS[1], name: "web-00000", percent: 0 },
  ],
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: TEMPLATE,
    failure: { ...FAILURE, output: ["panic: no \x1b[31mKEY\x1b[0m", "\tat main.go:7"] },
  },
  "GET /v1/services/web/revisions/web-00001": {
    ...REVISIONS[1],
    template: TEMPLATE,
    failure: { reason: "no answer", at: ago("2m"), count: 1, output: [] },
  },
};
