import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { ANSWERS, apiTest, events, FakeApi, problem, REVISIONS, TEMPLATE, WEB } from "./fake_api.ts";
import { programArgs } from "./run_main.ts";

const PUT = "PUT /v1/services/web";
const AFTER = {
  ...WEB,
  latestRevision: "web-00003",
  etag: "5",
  traffic: [{ revision: "latest", percent: 100 }],
  tagUrls: { next: "https://next--web.example.org" },
};

const EVENTS = events(
  ["stats", {}],
  ["revision.pulling", { image: "web:v3", done: 0, total: 7, status: "pulling" }],
  ["revision.pulling", { image: "web:v3", done: 7, total: 7, status: "done" }],
  ["revision.starting", { revision: "web-00003" }],
  ["revision.warning", { revision: "web-00003", warning: "another cless uses the volume data" }],
  ["revision.ready", { revision: "web-00003", ms: 411.7 }],
);

const DEPLOYS = { ...ANSWERS, [PUT]: AFTER, "GET /v1/events?service=web": EVENTS };

apiTest(
  "deploy changes what its flags say, shows the progress, and prints the URL at the end",
  DEPLOYS,
  async (api) => {
    const run = await api.run("deploy", "web", "--image", "web:v3", "--env", "MODE=a=b", "--unset-env", "KEY");
    assertEquals(run, {
      code: 0,
      out: "http://web.localhost:8080",
      err: [
        "pulling web:v3",
        "starting web-00003",
        "warning: another cless uses the volume data",
        "web-00003 is ready after 412 ms",
        "traffic: web-00003 100%",
      ].join("\n"),
    });
    assertEquals(api.sent(PUT), { ...TEMPLATE, image: "web:v3", env: { MODE: "a=b" } });
    assertEquals(api.asked.at(-1)!.headers.get("if-match"), '"4"');
    const lines = api.asked.map(({ line }) => line);
    assert(lines.indexOf("GET /v1/events?service=web") < lines.indexOf(PUT), "no event is missed");
  },
);

apiTest("deploy can be quiet, print JSON, and print the URL of the tag", DEPLOYS, async (api) => {
  const quiet = await api.run("deploy", "web", "--port", "80", "-q", "--tag", "next", "--traffic", "0");
  assertEquals(quiet, { code: 0, out: "http://web.localhost:8080\nhttps://next--web.example.org", err: "" });
  assertEquals(api.sent(PUT), { ...TEMPLATE, port: 80, traffic: 0, tag: "next" });
  assertEquals(api.asked.some(({ line }) => line.includes("/v1/events")), false);
  assertEquals(JSON.parse((await api.run("deploy", "web", "--json", "-q")).out), AFTER);
});

apiTest("a deploy that waits for another one of the service says so first", {
  ...DEPLOYS,
  "GET /v1/services/web/deploys": [{ outcome: "running" }],
}, async (api) => {
  const { err } = await api.run("deploy", "web", "--env", "A=1");
  assertEquals(err.split("\n")[0], "waits for another deploy of web, whose progress comes first");
  assertEquals((await api.run("deploy", "web", "--env", "A=1", "-q")).err, "");
});

apiTest("deploy says so if nothing is new", { ...DEPLOYS, [PUT]: WEB }, async (api) => {
  api.answers["GET /v1/events?service=web"] = events();
  const { err } = await api.run("deploy", "web");
  assertEquals(err, "web-00002 is the latest already\ntraffic: web-00002 70%, web-00001 30% (old)");
});

const LOCKED = { ...WEB, etag: "5", access: { allow: ["10.0.0.0/8"] }, maintenance: "Back at 14:00" };
apiTest("deploy says what has changed without a new revision", { ...DEPLOYS, [PUT]: LOCKED }, async (api) => {
  api.answers["GET /v1/events?service=web"] = events();
  const { err } = await api.run("deploy", "web", "--allow", "10.0.0.0/8", "--maintenance", "Back at 14:00");
  assertEquals(err.split("\n"), [
    'who may use it everybody → from 10.0.0.0/8; maintenance - → "Back at 14:00"',
    "traffic: web-00002 70%, web-00001 30% (old)",
  ]);
  api.answers["GET /v1/services/web"] = LOCKED;
  api.answers[PUT] = { ...LOCKED, etag: "6" };
  api.answers["GET /v1/events?service=web"] = events();
  assertEquals((await api.run("deploy", "web", "--open-path", "/up")).err.split("\n")[0], "web is changed");
});

apiTest("every flag of deploy sets its field", DEPLOYS, async (api) => {
  const flags = [
    ...["--image", "x", "--port", "80", "--secret-env", "PASSWORD=web.password", "--command", "serve", "--command=-v"],
    ...["--volume", "cache:/cache", "--volume", "/srv/x:/x:ro", "--concurrency", "8", "--min", "1", "--max", "2"],
    ...["--memory", "1g", "--cpus", "0.5", "--domain", "a.example", "--start-timeout", "1m", "--request-timeout", "0"],
    ...["--client-timeout", "10s"],
    ...[
      "--pause-after",
      "30s",
      "--stop-after",
      "1h",
      "--hang-after",
      "1m",
      "--readiness-path",
      "/ready",
      "--pull-policy",
      "always",
    ],
    ...[
      "--loading",
      "page",
      "--wake-except-agent",
      "Bot",
      "--wake-except-agent",
      "Spider 2",
      "--wake-except-path",
      "/up",
    ],
    ...["--liveness-path", "/up", "--liveness-every", "5s", "--unset", "volume", "--no-wait"],
    ...["--user", "1000:1000", "--read-only", "--cap-drop", "ALL", "--cap-add", "NET_RAW", "--cap-add", "CAP_CHOWN"],
    ...["--runtime", "runsc", "--renew", "--node", "alpha", "--node-label", "disk=fast", "--spread", "room"],
  ];
  assertEquals((await api.run("deploy", "web", ...flags)).code, 0);
  assertEquals(api.sent(`${PUT}?wait=false&renew=true`), {
    ...TEMPLATE,
    image: "x",
    port: 80,
    secretEnv: { TOKEN: "web.token", PASSWORD: "web.password" },
    command: ["serve", "-v"],
    volumes: [{ source: "cache", path: "/cache", readOnly: false }, { source: "/srv/x", path: "/x", readOnly: true }],
    concurrency: 8,
    minInstances: 1,
    maxInstances: 2,
    memory: "1g",
    cpus: 0.5,
    domains: ["www.example.org", "a.example"],
    loading: "page",
    wake: { except: { userAgents: ["Bot", "Spider 2"], paths: ["/up"] } },
    startTimeout: "1m",
    requestTimeout: "0",
    clientTimeout: "10s",
    pauseAfter: "30s",
    stopAfter: "1h",
    hangAfter: "1m",
    readiness: { path: "/ready" },
    liveness: { path: "/up", every: "5s" },
    pullPolicy: "always",
    user: "1000:1000",
    readOnly: true,
    capabilities: { add: ["NET_RAW", "CHOWN"], drop: ["ALL"] },
    runtime: "runsc",
    placement: { node: "alpha", labels: { disk: "fast" }, spread: "room" },
  });
});

apiTest("deploy changes a part of liveness, and removes it", DEPLOYS, async (api) => {
  const revision = { ...REVISIONS[0], template: { ...TEMPLATE, liveness: { path: "/up", every: "10s" } } };
  api.answers["GET /v1/services/web/revisions/web-00002"] = revision;
  assertEquals((await api.run("deploy", "web", "-q", "--liveness-every", "1m")).code, 0);
  assertEquals(api.sent(PUT), { ...TEMPLATE, liveness: { path: "/up", every: "1m" } });
  assertEquals((await api.run("deploy", "web", "-q", "--unset", "liveness")).code, 0);
  assertEquals(api.sent(PUT), TEMPLATE);
  const { code, err } = await api.run("deploy", "web", "--liveness-every", "soon");
  assertEquals([code, err.startsWith('cless: --liveness-every: "soon" is not allowed')], [2, true]);
});

apiTest("deploy refuses a capability that Linux does not have", DEPLOYS, async (api) => {
  for (const flag of ["--cap-add", "--cap-drop"]) {
    const { code, err } = await api.run("deploy", "web", flag, "NET_ROW");
    assertEquals(
      [code, err.startsWith(`cless: ${flag}: "NET_ROW" is not allowed: is not a capability`)],
      [2, true],
      err,
    );
  }
  assertEquals((await api.run("deploy", "web", "--cap-add", "ALL")).code, 2);
});

apiTest("a new service needs an image, and has only what the flags say", {
  "PUT /v1/services/shop": { ...AFTER, name: "shop", latestRevision: "shop-00001" },
}, async (api) => {
  const { code, err } = await api.run("deploy", "shop", "--port", "80");
  assertEquals([code, err], [2, "cless: there is no service shop yet, and a new one needs --image IMAGE"]);
  assertEquals(api.changes, []);
  assertEquals((await api.run("deploy", "shop", "--image", "shop")).code, 0, "without events it goes on");
  assertEquals(api.sent("PUT /v1/services/shop"), { image: "shop", env: {}, secretEnv: {}, volumes: [] });
  assertEquals(api.asked.at(-1)!.headers.get("if-match"), null);
});

apiTest("a deploy that meets another change is merged into that", DEPLOYS, async (api) => {
  let refusals = 3;
  api.answers[PUT] = () => refusals-- > 0 ? problem(412, "web has been changed") : AFTER;
  assertEquals((await api.run("deploy", "web", "--port", "80")).code, 0);
  assertEquals(api.asked.filter(({ line }) => line.endsWith("/revisions/web-00002")).length, 4);
  refusals = 4;
  assertEquals((await api.run("deploy", "web", "--port", "80", "-q")).err, "cless: web has been changed");
});

apiTest("a revision that does not become ready is reported with its output", {
  ...DEPLOYS,
  [PUT]: problem(422, "the revision web-00003 did not become ready: it has exited with 1", {
    output: ["no such file"],
  }),
}, async (api) => {
  assertEquals(await api.run("deploy", "web", "-q", "--image", "broken"), {
    code: 1,
    out: "",
    err: "cless: the revision web-00003 did not become ready: it has exited with 1\n  no such file",
  });
});

apiTest("each wrong field of a deploy is a line of its own", {
  ...DEPLOYS,
  [PUT]: problem(400, "maxInstances: must be 1 with volumes", {
    code: "invalid",
    errors: [{ field: "maxInstances", reason: "must be 1 with volumes" }, { field: "tag", reason: "must be short" }],
  }),
}, async (api) => {
  assertEquals(await api.run("deploy", "web", "-q", "--max", "2", "--tag", "a"), {
    code: 1,
    out: "",
    err: "cless: maxInstances: must be 1 with volumes\ncless: tag: must be short",
  });
});

apiTest("a service that cannot be read is not taken for one that does not exist", {
  ...ANSWERS,
  "GET /v1/services/web": problem(503, "the store cannot be used"),
  [PUT]: WEB,
}, async (api) => {
  const { code, err } = await api.run("deploy", "web", "-q", "--image", "web:v3");
  assertEquals([code, err, api.changes], [1, "cless: the store cannot be used", []]);
});

apiTest("a dry run changes nothing and says what would change", {
  ...ANSWERS,
  [`${PUT}?dryRun=true`]: {
    change: "update",
    revisionHistory: {},
    declaredBy: {},
    revision: "web-00003",
    changed: ["env", "image"],
    pull: true,
    traffic: { before: WEB.traffic, after: WEB.traffic },
    domains: { before: [], after: ["a.example"] },
  },
}, async (api) => {
  const { out, err } = await api.run("deploy", "web", "--image", "web:v3", "--dry-run");
  assertEquals([out, err], ["~ web  env, image web:v2 → web:v3; domains - → a.example", ""]);
  assertEquals(api.changes, [`${PUT}?dryRun=true`]);
  api.answers[`${PUT}?dryRun=true&renew=true`] = api.answers[`${PUT}?dryRun=true`]!;
  assertEquals((await api.run("deploy", "web", "--dry-run", "--renew")).code, 0);
  assertEquals(api.changes.at(-1), `${PUT}?dryRun=true&renew=true`);
  const changed = ["imageId", "memory", "readOnly", "startTimeout", "stopAfter"];
  api.answers[`${PUT}?dryRun=true`] = { ...api.answers[`${PUT}?dryRun=true`], changed };
  const limits = {
    memory: { value: "12341826k", from: "default" },
    startTimeout: { value: "1m", from: "default" },
    stopAfter: { value: "12h", from: "default" },
  };
  const { memory: _, ...template } = TEMPLATE;
  api.answers["GET /v1/services/web/revisions/web-00002"] = { ...REVISIONS[0], template, limits };
  const flags = ["--stop-after", "0", "--memory", "64m", "--start-timeout", "2m", "--read-only", "--dry-run"];
  assertEquals(
    (await api.run("deploy", "web", ...flags)).out,
    "~ web  content of the image, memory 11.8 GiB → 64m, readOnly default → true, startTimeout 1m → 2m, stopAfter 12h → never; domains - → a.example",
  );
});

apiTest("wrong flags are exit code 2, and no value of a variable is shown", ANSWERS, async (api) => {
  const cases: [flags: string[], message: string][] = [
    [["--env", "MODE"], '--env needs KEY=VALUE: "MODE" has no ='],
    [["--env", "=secret"], "--env needs KEY=VALUE: no KEY stands before ="],
    [["--secret-env", "MODE"], '--secret-env needs KEY=NAME: "MODE" has no ='],
    [["--port", "http"], '--port: "http" is not allowed: expected a whole number'],
    [["--cpus", "many"], '--cpus: "many" is not allowed: expected a number such as 0.5 or 2'],
    [["--memory", "lots"], '--memory: "lots" is not allowed: expected a size such as'],
    [["--stop-after", "soon"], '--stop-after: "soon" is not allowed: expected a duration such as'],
    [["--volume", "data"], '--volume: "data" is not allowed: expected SOURCE:PATH'],
    [["--unset", "image"], '--unset: "image" is not allowed: expected one of port, env,'],
    [["--imag", "x"], "unknown flag --imag; did you mean --image?"],
    [["--image", "a", "--image", "b"], "--image was given 2 times"],
  ];
  for (const [flags, message] of cases) {
    const { code, err } = await api.run("deploy", "web", ...flags);
    assertEquals([code, err.split("\n").length], [2, 1], err);
    assertStringIncludes(err, `cless: ${message}`);
  }
  assertEquals(api.asked.length, 0);
});

apiTest("all mistakes in the flags of a deploy are told at once", ANSWERS, async (api) => {
  const flags = [
    ...["--imag", "x", "--port", "http", "--env", "MODE", "--env", "=x", "--memory=lots", "--user", "--min", "1"],
    ...["--rate", "fast", "--basic", "$ecret", "--basic", "ann=x", "--traffic", "all", "--tag", "a", "--tag", "b"],
    ...["--volume", "a", "--volume", "b:/b", "--volume", "c", "--read-only=yes"],
  ];
  const { code, err, out } = await api.run("deploy", "web", ...flags);
  assertEquals([code, out, api.asked.length], [2, "", 0]);
  const named = err.split("\n").map((line) => /^cless: (?:unknown flag )?(--[a-z-]+)/.exec(line)?.[1]);
  assertEquals(
    named.sort(),
    [
      ...["--basic", "--basic", "--env", "--env", "--imag", "--memory", "--port", "--rate", "--read-only", "--tag"],
      ...["--traffic", "--user", "--volume", "--volume"],
    ],
    err,
  );
  assertEquals(err.includes("$ecret"), false);
});

Deno.test({
  name: "Ctrl-C ends the waiting, and says that the deploy continues",
  ignore: noNet || noRun,
  fn: async () => {
    const deployed = Promise.withResolvers<Response>();
    await using api = new FakeApi({ ...DEPLOYS });
    api.answers[PUT] = () => {
      child.kill("SIGINT");
      return deployed.promise;
    };
    const args = programArgs("deploy", "web", "--server", api.url, "--token", "secret");
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    const [out, text] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    deployed.resolve(Response.json(AFTER));
    assertEquals([(await child.status).code, out], [130, ""]);
    const last = text.trimEnd().split("\n").at(-1);
    assertEquals(last, "the deploy continues; cless describe web shows how far it is, and how it has ended");
  },
});

if (!noWrite) {
  apiTest("--env wins over files of variables, and a wrong line is named", DEPLOYS, async (api) => {
    const file = await Deno.makeTempFile({ suffix: ".env" });
    try {
      await Deno.writeTextFile(file, "MODE=file\nNEW=1\n");
      await api.run("deploy", "web", "-q", "--env-file", file, "--env", "MODE=flag");
      assertEquals((api.sent(PUT) as typeof TEMPLATE).env, { ...TEMPLATE.env, MODE: "flag", NEW: "1" } as unknown);
      await Deno.writeTextFile(file, "MODE=file\nwrong\n");
      const { code, err } = await api.run("deploy", "web", "--env-file", file);
      assertEquals([code, err], [1, `cless: ${file}:2: expected KEY=VALUE`]);
    } finally {
      await Deno.remove(file);
    }
  });
}

apiTest("deploy says which addresses the provider of the sign-in must know, once", DEPLOYS, async (api) => {
  api.answers["GET /v1/events?service=web"] = events();
  const oidcCallbacks = ["https://auth.example.org/.well-known/cless/oidc/callback"];
  api.answers[PUT] = { ...WEB, oidcCallbacks };
  const line = `redirect URI for the provider of the sign-in: ${oidcCallbacks[0]}`;
  const run = await api.run("deploy", "web");
  assertEquals(run.err.split("\n").at(-1), line);
  assertEquals(run.out, "http://web.localhost:8080");
  api.answers["GET /v1/services/web"] = { ...WEB, oidcCallbacks };
  assertEquals((await api.run("deploy", "web")).err.includes(line), false);
});

apiTest("describe says which addresses the provider of the sign-in must know", {
  ...ANSWERS,
  "GET /v1/services/web": { ...WEB, oidcCallbacks: ["https://a.example/callback", "https://b.example/callback"] },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  const line = "Redirect URI:  https://a.example/callback https://b.example/callback";
  assertEquals(out.split("\n").filter((one) => one.startsWith("Redirect")), [line]);
});
