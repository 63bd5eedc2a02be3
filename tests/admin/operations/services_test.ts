import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ImageUnavailable, RevisionFailed } from "../../../src/control/deploy_error.ts";
import { ClessError } from "../../../src/base/errors.ts";
import { foundService, good, newAdmin, problemOf, templateJson } from "../kit.ts";

Deno.test("the wake settings change without a new revision, and stay if a deploy does not mention them", async () => {
  const { ask } = await newAdmin();
  const wake = { except: { userAgents: ["UptimeRobot"], paths: ["/health"] } };
  assertEquals((await ask("PUT", "/v1/services/web", { body: { image: "web:1" } })).status, 201);
  const changed = await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", wake, loading: "page" } }));
  assertEquals([changed.latestRevision, changed.etag], ["web-00001", "2"]);
  assertEquals([changed.wake, changed.loading], [wake, "page"]);
  const next = await good(ask("PUT", "/v1/services/web", { body: { image: "web:2", wake: { except: {} } } }));
  assertEquals([next.latestRevision, next.wake.except.paths, next.loading], ["web-00002", [], "page"]);
});

Deno.test("a service has the URLs of its tags, as long as it has tags", async () => {
  const { ask } = await newAdmin();
  const made = await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", tag: "next" } }), 201);
  assertEquals(made.tagUrls, { next: "http://next--web.localhost:8080" });
  const untagged = await good(
    ask("PUT", "/v1/services/web/traffic", { body: [{ revision: "latest", percent: 100 }] }),
  );
  assertEquals("tagUrls" in untagged, false);
});

Deno.test("a service is created, read, repeated and changed", async () => {
  const { ask } = await newAdmin();
  const body = { image: "web:1", env: { GREETING: "one" }, domains: ["WWW.example.com"] };
  const made = await ask("PUT", "/v1/services/web", { body });
  assertEquals([made.status, made.headers.get("etag")], [201, '"1"']);
  const service = await made.json();
  const { createdAt, updatedAt, ...rest } = service;
  assertEquals(rest, {
    name: "web",
    url: "http://web.localhost:8080",
    state: "asleep",
    domains: ["www.example.com"],
    latestRevision: "web-00001",
    traffic: [{ revision: "latest", percent: 100 }],
    etag: "1",
    revisionHistory: 20,
    wake: { except: { userAgents: [], paths: [] } },
    loading: "hold",
  });
  assertEquals(createdAt, updatedAt);
  assertEquals(await good(ask("PUT", "/v1/services/web", { body })), service);
  const changed = await good(ask("PUT", "/v1/services/web", { body: { image: "web:2" } }));
  assertEquals([changed.etag, changed.latestRevision, changed.domains], ["2", "web-00002", ["www.example.com"]]);
  const read = await ask("GET", "/v1/services/web");
  assertEquals(read.headers.get("etag"), '"2"');
  assertEquals(await read.json(), changed);
  assertEquals(await good(ask("GET", "/v1/services")), [changed]);
});

Deno.test("a service is shown with its state, and one that is failing with the reason and since when", async () => {
  const { ask, statuses } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  statuses.set("web", { state: "failing", failure: "exec format error", failingSince: 5000 });
  const one = await good(ask("GET", "/v1/services/web"));
  const since = "1970-01-01T00:00:05.000Z";
  assertEquals([one.state, one.failure, one.failingSince], ["failing", "exec format error", since]);
  assertEquals(await good(ask("GET", "/v1/services")), [one]);
  statuses.set("web", { state: "ready" });
  const [ready] = await good(ask("GET", "/v1/services"));
  assertEquals([ready.state, "failure" in ready, "failingSince" in ready], ["ready", false, false]);
});

Deno.test("of two who create a service at once, one has created it", async () => {
  const { ask } = await newAdmin();
  const answers = ["web:1", "web:2"].map((image) => ask("PUT", "/v1/services/web", { body: { image } }));
  const statuses = await Promise.all(answers.map(async (answer) => {
    await (await answer).body?.cancel();
    return (await answer).status;
  }));
  assertEquals(statuses.sort(), [200, 201]);
  assertEquals((await good(ask("GET", "/v1/services/web/revisions"))).length, 2);
});

Deno.test("a wrong body is refused with the name of the field, and creates nothing", async () => {
  const { ask } = await newAdmin();
  const image = "web";
  const bad: [name: string, body: unknown, detail: string][] = [
    ["admin", { image }, "name: must be 1 to 40"],
    ["Upper", { image }, "name: must be 1 to 40"],
    ["a--b", { image }, "name: must be 1 to 40"],
    ["x".repeat(41), { image }, "name: must be 1 to 40"],
    ["x", {}, "image: is missing"],
    ["x", { image: "" }, "image: is not a valid name of an image"],
    ["x", { image: "-v /:/host web" }, "image: is not a valid name of an image"],
    ["x", { image, port: 70000 }, "port: must be a whole number from 1 to 65535"],
    ["x", { image, env: { "A=B": "c" } }, "env.A=B: is not a valid name of a variable"],
    ["x", { image, stopAfter: "soon" }, "stopAfter: expected a duration"],
    ["x", { image, minInstances: 3, maxInstances: 1 }, "minInstances: must be at most"],
    ["x", { image, prot: 1 }, "prot: unknown field; did you mean `port`?"],
    ["x", { image, secretEnv: { A: "nosuch" } }, "secretEnv: there is no secret nosuch"],
    ["x", [], "the body: must be an object"],
    ["x", null, "the body: must be an object"],
    ["x", 1, "the body: must be an object"],
  ];
  for (const [name, body, detail] of bad) {
    const told = await problemOf(await ask("PUT", `/v1/services/${name}`, { body }), 400, "invalid");
    assert(told.startsWith(detail), told);
  }
  assertEquals(await good(ask("GET", "/v1/services")), []);
});

Deno.test("a domain belongs to one service", async () => {
  const { ask } = await newAdmin();
  const body = { image: "shop", domains: ["www.example.com"] };
  await good(ask("PUT", "/v1/services/shop", { body }), 201);
  const detail = await problemOf(await ask("PUT", "/v1/services/other", { body }), 409, "conflict");
  assertEquals(detail, "www.example.com belongs to the service shop");
});

Deno.test("the error for a revision that does not start has the reason, and nothing has changed", async () => {
  const starts = [() => Promise.resolve()];
  const { ask } = await newAdmin({ scene: { tryStart: () => starts.shift()!() } });
  const before = await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  const failure = new ClessError("start_failed", "The service could not be started", { detail: "it exited with 1" });
  starts.push(() => Promise.reject(failure));
  const answer = await ask("PUT", "/v1/services/web", { body: { image: "web:2" } });
  const { reason, output } = await answer.clone().json();
  const detail = await problemOf(answer, 422, "revision_failed");
  assertEquals(detail, "the revision web-00002 did not become ready: it exited with 1");
  assertEquals([reason, output], ["it exited with 1", []]);
  assertEquals(await good(ask("GET", "/v1/services/web")), before);
  await good(ask("PUT", "/v1/services/web?wait=false", { body: { image: "web:2" } }));
});

Deno.test("the reason and the last lines of a revision or an image that fails are shown", async () => {
  const failed = Object.assign(new RevisionFailed("web-00001", new Error("exit 1")), { output: ["a", "b"] });
  const unavailable = new ImageUnavailable("the image x cannot be had: no such host", { reason: "no such host" });
  const errors: [error: Error, code: string, extra: unknown][] = [
    [failed, "revision_failed", ["exit 1", ["a", "b"]]],
    [unavailable, "image_unavailable", ["no such host", []]],
    [new ClessError("start_timeout", "x", { detail: "not ready in 30s" }), "revision_failed", ["x", []]],
  ];
  for (const [error, code, extra] of errors) {
    const { ask, found } = await newAdmin({
      control: { wake: () => Promise.reject(error), sleep: () => Promise.reject() },
    });
    found.push(foundService("web"));
    const answer = await ask("POST", "/v1/services/web/wake");
    const { reason, output } = await answer.clone().json();
    await problemOf(answer, 422, code);
    assertEquals([reason, output], extra);
  }
});

Deno.test("a change that is meant for another state of the service is refused", async () => {
  const { ask } = await newAdmin();
  const put = (ifMatch: string, image: string) =>
    ask("PUT", "/v1/services/web", { body: { image }, headers: { "if-match": ifMatch } });
  await problemOf(await put('"1"', "web:1"), 412, "stale");
  await problemOf(await put("*", "web:1"), 412, "stale");
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  let generation = 1;
  for (const write of [(n: number) => `"${n}"`, String, (n: number) => `W/"${n}"`, () => "*"]) {
    await good(put(write(generation), `web:${++generation}`));
  }
  const detail = await problemOf(await put('"1"', "web:9"), 412, "stale");
  assertStringIncludes(detail, "was changed in the meantime");
  for (const wrong of ["x", '"x"', '"1', "1, 2", '"-1"', "", "**"]) {
    await problemOf(await put(wrong, "web:9"), 400, "invalid");
  }
  const stale = { headers: { "if-match": '"1"' } };
  await problemOf(await ask("DELETE", "/v1/services/web", stale), 412, "stale");
  await problemOf(await ask("POST", "/v1/services/web/rollback", stale), 412, "stale");
  await problemOf(await ask("DELETE", "/v1/services/web/revisions/web-00001", stale), 412, "stale");
  const body = [{ revision: "latest", percent: 100 }];
  await problemOf(await ask("PUT", "/v1/services/web/traffic", { ...stale, body }), 412, "stale");
});

Deno.test("a dry run reports what would change, and changes nothing", async () => {
  const { ask } = await newAdmin();
  const preview = await good(ask("PUT", "/v1/services/web?dryRun=true", { body: { image: "web" } }));
  assertEquals(preview, {
    change: "create",
    revision: "web-00009",
    changed: ["image"],
    settings: [],
    pull: false,
    traffic: { before: [], after: [{ revision: "latest", percent: 100 }] },
    domains: { before: [], after: [] },
    revisionHistory: { after: 20 },
    declaredBy: {},
  });
  await problemOf(await ask("GET", "/v1/services/web"), 404, "not_found");
});

Deno.test("services are listed in pages by name, and filtered", async () => {
  const { ask, found } = await newAdmin();
  for (const name of ["shop", "blog", "web", "wiki"]) {
    const file = name.startsWith("w") ? "?declaredBy=/etc/cless.yaml" : "";
    await good(ask("PUT", `/v1/services/${name}${file}`, { body: { image: name } }), 201);
  }
  found.push(foundService("golang"), foundService("python"));
  const names = async (query: string) =>
    (await good(ask("GET", `/v1/services${query}`))).map((s: { name: string }) => s.name);
  assertEquals(await names(""), ["blog", "golang", "python", "shop", "web", "wiki"]);
  assertEquals(await names("?convention=true"), ["golang", "python"]);
  assertEquals(await names("?convention=false&q=o"), ["blog", "shop"]);
  assertEquals(await names("?declaredBy=/etc/cless.yaml"), ["web", "wiki"]);
  assertEquals(await names("?q=nosuch"), []);
  const pagesOf = async (limit: number) => {
    const pages: string[][] = [];
    let next: string | undefined = `/v1/services?limit=${limit}&convention=false`;
    while (next !== undefined) {
      const answer: Response = await ask("GET", next);
      const link: string | null = answer.headers.get("link");
      assertEquals(answer.status, 200, next);
      pages.push((await answer.json()).map(({ name }: { name: string }) => name));
      next = link === null ? undefined : /^<(\/v1\/services\?[^>]*)>; rel="next"$/.exec(link)![1]!;
      if (next !== undefined) assertStringIncludes(next, "convention=false");
    }
    return pages;
  };
  assertEquals(await pagesOf(2), [["blog", "shop"], ["web", "wiki"]]);
  assertEquals(await pagesOf(1), [["blog"], ["shop"], ["web"], ["wiki"]]);
});

Deno.test("revisions are listed newest first without the values of their variables", async () => {
  const { ask, tokens } = await newAdmin();
  for (const image of ["web:1", "web:2"]) {
    await ask("PUT", "/v1/services/web", { body: { image, env: { KEY: "hidden-value" }, tag: "next" } });
  }
  const answer = await (await ask("GET", "/v1/services/web/revisions")).text();
  assert(!answer.includes("hidden-value"), answer);
  const [newest, oldest] = JSON.parse(answer);
  const { createdAt, template: { envNames, ...template }, ...rest } = newest;
  assertEquals(rest, {
    name: "web-00002",
    service: "web",
    image: "web:2",
    imageId: "sha256:web:2",
    percent: 100,
    tag: "next",
    isolated: true,
    latest: true,
  });
  assert(createdAt.endsWith("Z"));
  const { env: _, ...expected } = templateJson("web:2");
  assertEquals([envNames, template], [["KEY"], expected]);
  assertEquals([oldest.name, oldest.percent, oldest.latest, "tag" in oldest], ["web-00001", 0, false, false]);
  const env = async (token: string) =>
    (await good(ask("GET", "/v1/services/web/revisions/web-00002", { token }))).template.env;
  assertEquals(await env(tokens.deploy), { KEY: "hidden-value" });
  assertEquals(await env(tokens.read), { KEY: "***" });
});

Deno.test("the words of a command are shown to tokens that may deploy", async () => {
  const { ask, tokens } = await newAdmin();
  const command = ["serve", "--password=hidden-value"];
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", command } }), 201);
  const shown = async (token: string) => [
    (await good(ask("GET", "/v1/services/web/revisions", { token })))[0].template.command,
    (await good(ask("GET", "/v1/services/web/revisions/web-00001", { token }))).template.command,
  ];
  assertEquals(await shown(tokens.deploy), [command, command]);
  assertEquals(await shown(tokens.read), [["***", "***"], ["***", "***"]]);
});

Deno.test("a capability that the engine gives to no container needs a token of scope admin", async () => {
  const { ask, tokens: { deploy: token } } = await newAdmin();
  const put = (capabilities: object, options: { token?: string } = {}) =>
    ask("PUT", "/v1/services/web", { body: { image: "web:1", capabilities }, ...options });
  const detail = await problemOf(await put({ add: ["CHOWN", "SYS_ADMIN"] }, { token }), 403, "forbidden");
  assertEquals(detail, "The token ci allows deploy, and to add the capabilities SYS_ADMIN needs admin");
  await good(put({ add: ["NET_RAW"], drop: ["ALL"] }, { token }), 201);
  await good(put({ add: ["SYS_ADMIN"] }));
  const { template } = await good(ask("GET", "/v1/services/web/revisions/web-00002"));
  assertEquals(template.capabilities, { add: ["SYS_ADMIN"], drop: [] });
});

Deno.test("a deploy that renews makes a new revision even if nothing has changed", async () => {
  const { ask } = await newAdmin();
  const put = (query = "") => ask("PUT", `/v1/services/web${query}`, { body: { image: "web:1" } });
  await good(put(), 201);
  assertEquals((await good(put())).latestRevision, "web-00001");
  assertEquals((await good(put("?renew=true"))).latestRevision, "web-00002");
});

Deno.test("a revision that has failed lately shows why; in a list without the output of its app", async () => {
  const { ask, failures, tokens: { read: token } } = await newAdmin();
  for (const image of ["web:1", "web:2"]) await ask("PUT", "/v1/services/web", { body: { image } });
  const last = { reason: "it ended with code 1", output: ["panic", "exit"], at: 1_000_000, count: 4, retryInMs: 1001 };
  failures.set("web-00002", last);
  const shown = { reason: last.reason, at: "1970-01-01T00:16:40.000Z", count: 4, retryInS: 2 };
  const [newest, oldest] = await good(ask("GET", "/v1/services/web/revisions", { token }));
  assertEquals([newest.failure, "failure" in oldest], [shown, false]);
  const show = async (name: string) =>
    (await good(ask("GET", `/v1/services/web/revisions/${name}`, { token }))).failure;
  assertEquals(await show("web-00002"), { ...shown, output: last.output });
  assertEquals(await show("web-00001"), undefined);
  failures.set("web-00001", { ...last, count: 1, output: [], retryInMs: 0 });
  const { retryInS: _, ...once } = shown;
  assertEquals(await show("web-00001"), { ...once, count: 1, output: [] });
});

Deno.test("a revision without traffic and tag can be removed", async () => {
  const { ask } = await newAdmin();
  for (const image of ["web:1", "web:2"]) await ask("PUT", "/v1/services/web", { body: { image } });
  await good(ask("DELETE", "/v1/services/web/revisions/web-00001"), 204);
  await problemOf(await ask("DELETE", "/v1/services/web/revisions/web-00001"), 404, "not_found");
  await problemOf(await ask("DELETE", "/v1/services/web/revisions/web-00002"), 409, "conflict");
});

Deno.test("traffic is split, and rolled back", async () => {
  const { ask, splitOf } = await newAdmin();
  for (const image of ["web:1", "web:2"]) await ask("PUT", "/v1/services/web", { body: { image } });
  const split = [{ revision: "web-00001", percent: 30, tag: "old" }, { revision: "latest", percent: 70 }];
  const planned = await good(ask("PUT", "/v1/services/web/traffic?dryRun=true", { body: split }));
  assertEquals([planned.traffic, splitOf("web.localhost")], [split, { "web-00002": 100 }]);
  const answer = await ask("PUT", "/v1/services/web/traffic", { body: split });
  assertEquals([answer.status, answer.headers.get("etag")], [200, '"3"']);
  assertEquals((await answer.json()).traffic, split);
  assertEquals(splitOf("web.localhost"), { "web-00001": 30, "web-00002": 70 });
  const { traffic } = await good(ask("POST", "/v1/services/web/rollback?dryRun=true"));
  assertEquals(splitOf("web.localhost"), { "web-00001": 30, "web-00002": 70 });
  const back = await good(ask("POST", "/v1/services/web/rollback"));
  assertEquals(traffic, back.traffic);
  assertEquals(back.traffic, [
    { revision: "web-00002", percent: 100 },
    { revision: "web-00001", percent: 0, tag: "old" },
  ]);
  await problemOf(await ask("POST", "/v1/services/nosuch/rollback"), 404, "not_found");
});

Deno.test("wrong traffic is refused and changes nothing", async () => {
  const { ask } = await newAdmin();
  for (const image of ["web:1", "web:2"]) await ask("PUT", "/v1/services/web", { body: { image } });
  const before = await good(ask("GET", "/v1/services/web"));
  const bad: [body: unknown, detail: string][] = [
    [[{ revision: "web-00001", percent: 50 }], "traffic: the percents must sum to 100"],
    [[{ revision: "web-00009", percent: 100 }], "traffic: there is no revision web-00009"],
    [[{ revision: "web-00001", percent: -10 }, { revision: "web-00002", percent: 110 }], "0.percent: must be a whole"],
    [
      [{ revision: "web-00001", percent: 50 }, { revision: "web-00001", percent: 50 }],
      "traffic: web-00001 is given twice",
    ],
    [[], "traffic: the percents must sum to 100"],
    [{ revision: "web-00001", percent: 100 }, "the body: must be a list"],
    [[{ revision: "latest", percent: 100, tag: "t".repeat(40) + "x" }], "0.tag: must be"],
    [[{ revision: "latest", percent: 100, color: "red" }], "0.color: unknown field"],
  ];
  for (const [body, detail] of bad) {
    const told = await problemOf(await ask("PUT", "/v1/services/web/traffic", { body }), 400, "invalid");
    assert(told.startsWith(detail), told);
  }
  assertEquals(await good(ask("GET", "/v1/services/web")), before);
});

Deno.test("a service is woken, put to sleep and removed", async () => {
  const { ask, asked, services } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web" } }), 201);
  await good(ask("POST", "/v1/services/web/wake"), 204);
  await good(ask("POST", "/v1/services/web/sleep"), 204);
  assertEquals(asked, ["wake web for admin", "sleep web"]);
  await good(ask("DELETE", "/v1/services/web"), 204);
  assertEquals(services.get("web"), undefined);
  for (const action of ["wake", "sleep"]) {
    await problemOf(await ask("POST", `/v1/services/web/${action}`), 404, "not_found");
  }
  await problemOf(await ask("DELETE", "/v1/services/web"), 404, "not_found");
});

Deno.test("a service says what it costs, where it is listed and where it is shown, if it has ever started", async () => {
  const { ask, costs } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  const cost = {
    memoryBytes: 1,
    swapBytes: 2,
    awakeBytes: 6,
    cpuSeconds: 3.5,
    usedByteSeconds: 4,
    savedByteSeconds: 5,
  };
  const show = async () => [
    (await good(ask("GET", "/v1/services")))[0].cost,
    (await good(ask("GET", "/v1/services/web"))).cost,
  ];
  assertEquals(await show(), [undefined, undefined]);
  costs.set("web", { ...cost, since: 1_700_000_000_000 });
  const shown = { ...cost, since: "2023-11-14T22:13:20.000Z" };
  assertEquals(await show(), [shown, shown]);
});

Deno.test("the wakes of a service are told, of the last day or of fewer minutes", async () => {
  const { ask, asked } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  const wakes = await good(ask("GET", "/v1/services/web/wakes"));
  assertEquals(wakes[0].histogram, [{ upToMs: 4, count: 1 }]);
  await good(ask("GET", "/v1/services/web/wakes?minutes=60"));
  assertEquals(asked, ["wakes of web in 1440", "wakes of web in 60"]);
  for (const path of ["web/wakes?minutes=0", "web/wakes?minutes=1441", "nosuch/wakes"]) {
    const answer = await ask("GET", `/v1/services/${path}`);
    assertEquals(answer.status, path.startsWith("web") ? 400 : 404);
    await answer.body?.cancel();
  }
});

Deno.test("one service says when the name of its latest image means another image now, and a list does not ask", async () => {
  const ids = new Map([["web:1", "sha256:web:1"]]);
  let asked = 0;
  const idOf = (name: string) => (asked++, Promise.resolve(ids.get(name)));
  const { ask, found } = await newAdmin({ imageNames: { idOf } });
  found.push(foundService("blog"));
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  const changed = async (name = "web") => (await good(ask("GET", `/v1/services/${name}`))).imageChanged;
  assertEquals(await changed(), undefined);
  ids.set("web:1", "sha256:rebuilt");
  assertEquals(await changed(), true);
  ids.delete("web:1"); // nobody knows
  assertEquals([await changed(), asked], [undefined, 3]);
  assertEquals([await changed("blog"), asked], [undefined, 3]);
  await good(ask("GET", "/v1/services"));
  assertEquals(asked, 3);
});

Deno.test("a revision has the limits that hold, with where each comes from", async () => {
  const { ask, tokens } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", memory: "256m", stopAfter: "0" } }), 201);
  const { limits } = await good(ask("GET", "/v1/services/web/revisions/web-00001", { token: tokens.read }));
  assertEquals([limits.memory, limits.stopAfter, limits.pauseAfter, limits.concurrency], [
    { value: "256m", from: "service" },
    { value: "0", from: "service" },
    { value: "0", from: "--pause-after" },
    { value: 0, from: "default" },
  ]);
});

Deno.test("a revision names the machines of its volumes, and warns if one is away", async () => {
  const asked: string[] = [];
  const volumeNodes = {
    seen(service: string, volumes: readonly { readonly source: string }[]) {
      asked.push(`${service}: ${volumes.map(({ source }) => source)}`);
      const problem = "the volume data is on the machine second, which is down";
      return Promise.resolve([{ source: "data", node: "second", problem }, { source: "more", node: "second" }]);
    },
  };
  const { ask } = await newAdmin({ volumeNodes });
  const volumes = ["data", "more", "new"].map((source) => ({ source, path: `/${source}` }));
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", volumes } }), 201);
  const revision = await good(ask("GET", "/v1/services/web/revisions/web-00001"));
  assertEquals(revision.volumeNodes, [{ source: "data", node: "second" }, { source: "more", node: "second" }]);
  assertEquals(revision.warnings, ["the volume data is on the machine second, which is down"]);
  assertEquals(asked, ["web: data,more,new"]);
});

Deno.test("a service says by which flag no known robot wakes it", async () => {
  const noRobots = async (parts: { readonly noRobots?: string }) => {
    const { ask } = await newAdmin(parts);
    return (await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201)).noRobots;
  };
  assertEquals(await noRobots({}), undefined);
  assertEquals(await noRobots({ noRobots: "CLESS_WAKE_EXCEPT_ROBOTS" }), "CLESS_WAKE_EXCEPT_ROBOTS");
});
