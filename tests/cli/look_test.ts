import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  ago,
  type Answer,
  ANSWERS,
  apiTest,
  DEPLOYS,
  FAILING,
  FAILURE,
  problem,
  REVISIONS,
  TEMPLATE,
  WEB,
} from "./fake_api.ts";

apiTest("services are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("services")).out.split("\n"), [
    "NAME  URL                        LATEST     TRAFFIC                       AGE  STATE",
    "web   http://web.localhost:8080  web-00002  web-00002 70%, web-00001 30%  3d   ready",
  ]);
  assertEquals(JSON.parse((await api.run("services", "--json")).out), [WEB]);
  for (const flag of ["--quiet", "-q"]) assertEquals((await api.run("services", flag)).out, "web");
});

apiTest("services with a name is describe with the same flags", ANSWERS, async (api) => {
  for (const flags of [[], ["--json"], ["--show-env"], ["--json", "--show-env"]]) {
    const described = await api.run("describe", "web", ...flags);
    assertEquals(described.code, 0);
    assertEquals(await api.run("services", "web", ...flags), described);
  }
  assertEquals(await api.run("services", "nosuch"), await api.run("describe", "nosuch"));
});

apiTest("services refuses a flag that the list or the one service has not", ANSWERS, async (api) => {
  const refused = async (...args: string[]) => {
    const { code, err } = await api.run("services", ...args);
    assertEquals(code, 2);
    return err;
  };
  assertEquals(await refused("--show-env"), "cless: --show-env needs NAME: cless services NAME --show-env");
  assertEquals(await refused("web", "-q"), "cless: --quiet is for the list; web is one service");
  assertEquals(await refused("web", "zoo"), 'cless: services takes no argument "zoo"; see cless services --help');
  assertEquals(api.asked, []);
});

apiTest("a service that is failing says why, in one clause, and describe says all of it", {
  ...ANSWERS,
  "GET /v1/services": [
    { ...WEB, state: "failing", failure: "nothing listens on port 9\x07; the app must listen there on all addresses" },
    { ...WEB, name: "zoo", state: "asleep" },
    { ...WEB, name: "shop", state: "failing", failure: "exit code 1; see the log", failingSince: ago("12m") },
    { ...WEB, name: "new", state: "deploying" },
  ],
}, async (api) => {
  const rows = (await api.run("services")).out.split("\n");
  assertEquals(rows[1]!.split(/ {2,}/).at(-1), "failing: nothing listens on port 9");
  assertEquals(rows[2]!.split(/ {2,}/).at(-1), "asleep");
  assertEquals(rows[3]!.split(/ {2,}/).at(-1), "failing for 12m: exit code 1");
  assertEquals(rows[4]!.split(/ {2,}/).at(-1), "deploying");
  const [web] = api.answers["GET /v1/services"] as object[];
  api.answers["GET /v1/services/web"] = web!;
  const state = "State:        failing: nothing listens on port 9; the app must listen there on all addresses";
  assertEquals((await api.run("describe", "web")).out.split("\n")[1], state);
  api.answers["GET /v1/services/web"] = { ...web!, failingSince: ago("3h") };
  assertEquals((await api.run("describe", "web")).out.split("\n")[1], state.replace("failing:", "failing for 3h:"));
});

apiTest("the list of services has the last line of output of one that is failing", {
  ...FAILING,
  "GET /v1/services": [{ ...WEB, state: "failing", failure: "it ended with code 1", failingSince: ago("12m") }],
}, async (api) => {
  const state = async () => (await api.run("services")).out.split("\n")[1]!.split(/ {2,}/).at(-1);
  assertEquals(await state(), "failing for 12m: it ended with code 1; last line: at main.go:7");
  api.answers["GET /v1/services/web/revisions/web-00002"] = REVISIONS[0]!;
  assertEquals(await state(), "failing for 12m: it ended with code 1", "it is not the latest revision that fails");
});

apiTest("a name whose first deploy is running stands below the services, and not among those that failed", {
  ...ANSWERS,
  "GET /v1/timelines": [
    {
      service: "first",
      spells: [{ state: "deploying", from: ago("3s") }],
      deploys: [{ at: ago("3h"), outcome: "failed" }],
    },
    { service: "tryout", spells: [], deploys: [{ at: ago("3h"), outcome: "failed" }] },
  ],
}, async (api) => {
  assertEquals((await api.run("services")).err.split("\n"), [
    "deployed for the first time now: first; cless describe NAME shows how far it is",
    "not deployed: tryout; cless describe NAME says why",
  ]);
});

apiTest("a service whose last deploy did not work is marked so in the list, beside its state", {
  ...ANSWERS,
  "GET /v1/services": [
    { ...WEB, state: "asleep" },
    { ...WEB, name: "shop" },
    { ...WEB, name: "zoo", state: "failing", failure: "exit code 1; see the log", failingSince: ago("12m") },
  ],
  "GET /v1/timelines": [
    {
      service: "web",
      spells: [],
      deploys: [{ at: ago("3h"), outcome: "deployed" }, { at: ago("2h"), outcome: "failed" }],
    },
    {
      service: "shop",
      spells: [],
      deploys: [{ at: ago("2h"), outcome: "failed" }, { at: ago("1h"), outcome: "deployed" }],
    },
    { service: "zoo", spells: [], deploys: [{ at: ago("5m"), outcome: "called off" }] },
  ],
}, async (api) => {
  const { err, out } = await api.run("services");
  assertEquals(out.split("\n").slice(1).map((row) => row.split(/ {2,}/).at(-1)), [
    "asleep; last deploy failed 2h ago",
    "ready",
    "failing for 12m: exit code 1; last deploy called off 5m ago",
  ]);
  assertEquals(err, "");
});

const COST = { since: ago("4d"), memoryBytes: 25_690_112, swapBytes: 0, cpuSeconds: 1.25 };

apiTest("services say what they cost, with a column for the swap if one has memory there", {
  ...ANSWERS,
  "GET /v1/services": [
    { ...WEB, cost: { ...COST, usedByteSeconds: 3e11, savedByteSeconds: 9.7e12 } },
    { ...WEB, name: "zoo", state: "asleep" },
  ],
}, async (api) => {
  const columns = async () => (await api.run("services")).out.split("\n").map((row) => row.split(/ {2,}/).slice(4));
  assertEquals(await columns(), [
    ["AGE", "MEMORY", "CPU", "SAVED", "STATE"],
    ["3d", "24.5 MiB", "1.3s", "97%", "ready"],
    ["3d", "-", "-", "-", "asleep"],
  ]);
  const cost = { ...COST, memoryBytes: 0, swapBytes: 94_371_840, cpuSeconds: 7200, usedByteSeconds: 0 };
  api.answers["GET /v1/services"] = [{ ...WEB, cost: { ...cost, savedByteSeconds: 0 } }];
  assertEquals(await columns(), [
    ["AGE", "MEMORY", "SWAP", "CPU", "SAVED", "STATE"],
    ["3d", "0 B", "90.0 MiB", "2h", "-", "ready"],
  ]);
});

apiTest("describe says what a service costs, and how it woke", {
  ...ANSWERS,
  "GET /v1/services/web": {
    ...WEB,
    cost: { ...COST, swapBytes: 94_371_840, usedByteSeconds: 3e11, savedByteSeconds: 9.7e12 },
  },
  "GET /v1/services/web/wakes": [
    { revision: "web-00002", how: "resume", count: 31, p50Ms: 3.67, p99Ms: 41.2, histogram: [] },
    { revision: "web-00002", how: "cold", count: 1, p50Ms: 1240, p99Ms: 61_000, histogram: [] },
  ],
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n").slice(3, 6), [
    "Memory:       24.5 MiB, and 90.0 MiB in the swap",
    "CPU:          1.3s since its first start, 4d ago",
    "Saved:        97% of the memory of one that is always awake, since its first start",
  ]);
  assertEquals(out.split("\n").slice(-4), [
    "Wakes in the last day (by whom: cless wakes web)",
    "  REVISION   WAKE    COUNT  P50    P99",
    "  web-00002  resume  31     3.7ms  41ms",
    "  web-00002  cold    1      1.2s   1m",
  ]);
  assertEquals(JSON.parse((await api.run("describe", "web", "--json")).out).wakes.length, 2);
});

apiTest("without services, the message says how to make one, and --json is an empty list", {
  "GET /v1/services": [],
}, async (api) => {
  assertEquals(await api.run("services"), {
    code: 0,
    out: "",
    err: "there are no services yet; cless deploy makes one",
  });
  assertEquals((await api.run("services", "--json")).out, "[]");
  assertEquals(await api.run("services", "-q"), { code: 0, out: "", err: "" });
});

apiTest("below the services is what could not be deployed in the last day, since it is in no list", {
  ...ANSWERS,
  "GET /v1/timelines": [
    { service: "web", spells: [], deploys: [{ outcome: "failed" }] },
    { service: "shop", spells: [], deploys: [{ outcome: "failed" }, { outcome: "called off" }] },
    { service: "blog", spells: [], deploys: [{ outcome: "deployed" }, { outcome: "failed" }] },
    { service: "old", spells: [], deploys: [{ outcome: "deployed" }] }, // deleted since
    { service: "used", spells: [], deploys: [] },
  ],
}, async (api) => {
  const { err } = await api.run("services");
  assertEquals(err, "not deployed: shop, blog; cless describe NAME says why");
  for (const flag of ["--json", "--quiet"]) assertEquals((await api.run("services", flag)).err, "");
});

apiTest("revisions are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE",
    "web-00002  70%      -    web:v2  5m",
    "web-00001  30%      old  web:v1  3d",
  ]);
  assertEquals((await api.run("revisions", "web", "-q")).out, "web-00002\nweb-00001");
  assertEquals(JSON.parse((await api.run("revisions", "web", "--json")).out).length, 2);
});

apiTest("revisions that have failed are marked", FAILING, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE  FAILED",
    "web-00002  70%      -    web:v2  5m   4 times in a row, 1m ago",
    "web-00001  30%      old  web:v1  3d   once, 2m ago",
    "web-00000  -        old  web:v1  3d   -",
  ]);
});

apiTest("instances are a table, JSON, or ids, of all services or of some", ANSWERS, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID              SERVICE  REVISION   STATE  IN-FLIGHT  MEMORY    ADDRESS          AGE  LAST-USED",
    "web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   1m ago",
  ]);
  assertEquals((await api.run("instances", "-q", "web")).out, "web-00002-a1b2");
  assertEquals((await api.run("instances", "-q", "shop")).out, "");
  assertEquals((await api.run("instances", "shop")).err, "no instance runs now; the next request starts one");
});

apiTest("failed instances say why, and unknown values are hyphens", {
  "GET /v1/instances": [
    {
      ...{ id: "one", service: "web", revision: "web-00001", state: "draining", address: "172.20.0.2:80", inFlight: 1 },
      ...{ memoryBytes: 1024, startedAt: ago("2m"), failure: "the app did not answer any more" },
    },
    {
      ...{ id: "two", service: "web", revision: "web-00001", state: "starting", address: "", inFlight: 0 },
      startedAt: ago("5m"),
    },
  ],
}, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID   SERVICE  REVISION   STATE     IN-FLIGHT  MEMORY   ADDRESS        AGE  LAST-USED  FAILURE",
    "one  web      web-00001  draining  1          1.0 KiB  172.20.0.2:80  2m   -          the app did not answer any more",
    "two  web      web-00001  starting  0          -        -              5m   -          -",
  ]);
});

apiTest("instances have a column for the commands that operators run in them while there are any", {
  "GET /v1/instances": [
    {
      id: "one",
      service: "web",
      revision: "web-00001",
      state: "ready",
      address: "172.20.0.2:80",
      inFlight: 0,
      sessions: 2,
    },
    { id: "two", service: "web", revision: "web-00001", state: "paused", address: "172.20.0.3:80", inFlight: 0 },
  ],
}, async (api) => {
  const [header, one, two] = (await api.run("instances")).out.split("\n");
  assertEquals(header!.split(/ +/).slice(4, 6), ["IN-FLIGHT", "EXEC"]);
  assertEquals([one!.split(/ +/).slice(4, 6), two!.split(/ +/).slice(4, 6)], [["0", "2"], ["0", "0"]]);
});

apiTest("describe shows everything, but only the names of variables", ANSWERS, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n"), [
    "Name:         web",
    "State:        ready",
    "URL:          http://web.localhost:8080",
    "Domains:      www.example.org",
    "Made:         3d ago",
    "Changed:      5m ago",
    "Declared by:  no file",
    "Keeps:        20 old revisions",
    "",
    "Traffic",
    "  REVISION            PERCENT  TAG  URL",
    "  latest (web-00002)  70%      -    -",
    "  web-00001           30%      old  https://old--web.example.org",
    "",
    "Template of web-00002",
    "  image:         web:v2",
    "  pullPolicy:    missing",
    "  port:          8080",
    "  concurrency:   0",
    "  minInstances:  0",
    "  maxInstances:  1",
    "  memory:        256m",
    "  readiness:     /",
    "  env:           MODE, KEY",
    "  env TOKEN:     the secret web.token",
    "  volume /data:  data",
    "",
    "Revisions",
    "  NAME       TRAFFIC  TAG  IMAGE   AGE",
    "  web-00002  70%      -    web:v2  5m",
    "  web-00001  30%      old  web:v1  3d",
    "",
    "Instances",
    "  ID              SERVICE  REVISION   STATE  IN-FLIGHT  MEMORY    ADDRESS          AGE  LAST-USED",
    "  web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   1m ago",
  ]);
  const open = (await api.run("describe", "web", "--show-env")).out;
  assertStringIncludes(open, "  env MODE:      fast\n");
  assertStringIncludes(open, '  env KEY:       "two\\nlines"\n');
});

apiTest("describe says why a revision fails, with the last lines of its app", FAILING, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(
    out,
    [
      "Failures",
      "  web-00002 failed 4 times in a row, 1m ago; requests are refused for 2s more: it ended with code 1",
      "    panic: no KEY",
      "    \tat main.go:7",
      "  web-00001 failed once, 2m ago: no answer",
      "",
      "Instances",
    ].join("\n"),
  );
  api.answers["GET /v1/instances"] = [];
  assertStringIncludes((await api.run("describe", "web")).out, "Instances\n  none; the next request starts one");
  api.answers["GET /v1/services/web/revisions"] = [{ ...REVISIONS[0], failure: FAILURE }];
  const refused = (await api.run("describe", "web")).out;
  assertStringIncludes(refused, "Instances\n  none; the first request after that time starts one");
  api.answers["GET /v1/services/web"] = { ...WEB, state: "failing", failure: "no", failingSince: ago("3h") };
  const failing = async () => (await api.run("describe", "web")).out.split("\n  ").at(-1);
  assertEquals(await failing(), "none; it is failing for 3h, and the first request after that time tries again");
  api.answers["GET /v1/services/web/revisions"] = REVISIONS;
  assertEquals(await failing(), "none; it is failing for 3h, and the next request tries again");
  api.answers["GET /v1/services/web/revisions"] = [{ ...REVISIONS[0], failure: FAILURE }];
  const { revisions } = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals(revisions[0].failure.output, ["panic: no \x1b[31mKEY\x1b[0m", "\tat main.go:7"]);
});

apiTest("describe shows exceptions from waking and the waiting page", {
  ...ANSWERS,
  "GET /v1/services/web": {
    ...WEB,
    wake: { except: { userAgents: ["Bot", "Spider 2", "known-robots"], paths: ["/up"] } },
    loading: "page",
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n").slice(4, 7), [
    'Not woken by:  Bot, "Spider 2", known-robots (cless robots lists them)',
    "Not woken at:  /up",
    "Loading:       a page, while it starts",
  ]);
});

apiTest("describe shows how liveness is checked", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: { ...TEMPLATE, liveness: { path: "/up", every: "5s" } },
  },
}, async (api) => {
  assertStringIncludes((await api.run("describe", "web")).out, "  liveness:      /up every 5s\n");
});

apiTest("describe shows what a container may do", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: {
      ...TEMPLATE,
      capabilities: { add: [], drop: ["ALL", "CHOWN"] },
      readOnly: true,
      user: "1000",
      runtime: "runsc",
      placement: { node: "alpha", labels: { disk: "fast" }, spread: "room" },
    },
  },
}, async (api) => {
  const lines = (await api.run("describe", "web")).out.split("\n").map((line) => line.trim().replace(/:\s+/, ": "));
  for (const line of ["capabilities drop: ALL, CHOWN", "readOnly: true", "user: 1000", "runtime: runsc"]) {
    assert(lines.includes(line), line);
  }
  for (const line of ["machines: alpha, disk=fast", "spread over: room"]) assert(lines.includes(line), line);
  assert(!lines.some((line) => line.startsWith("capabilities add")));
});

apiTest("describe --json has the values of variables only with --show-env", ANSWERS, async (api) => {
  const closed = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals([closed.template.env, closed.template.envNames], [undefined, ["MODE", "KEY"]]);
  assertEquals([closed.revisions.length, closed.instances.length, closed.name], [2, 1, "web"]);
  const open = JSON.parse((await api.run("describe", "web", "--json", "--show-env")).out);
  assertEquals(open.template.env, { MODE: "fast", KEY: "two\nlines" });
});

apiTest("describe has the last deploy if it failed after the latest revision was made", {
  ...ANSWERS,
  "GET /v1/services/web/deploys": DEPLOYS,
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(
    out,
    [
      "",
      "Last failed deploy",
      "  web-00003 failed after 31s: it ended with code 1; look at KEY (1m ago, by ci)",
      "    panic: no KEY",
      "",
      "Instances",
    ].join("\n"),
  );
  assertEquals(JSON.parse((await api.run("describe", "web", "--json")).out).deploys, DEPLOYS);
  const settings = { ...DEPLOYS[2], startedAt: ago("1s") };
  api.answers["GET /v1/services/web/deploys"] = [settings, ...DEPLOYS];
  assertEquals((await api.run("describe", "web")).out, out, "a later change of settings is no later revision");
  api.answers["GET /v1/services/web/deploys"] = [{ ...DEPLOYS[0], startedAt: ago("6m") }];
  assert(!(await api.run("describe", "web")).out.includes("failed deploy"), "a later one has worked");
});

/** A service that never worked. */
const NEVER_WORKED: Record<string, Answer> = {
  "GET /v1/services/web": problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": DEPLOYS.slice(0, 2),
};

apiTest(
  "describe of a service that never worked says so, with reason, output and what to do",
  NEVER_WORKED,
  async (api) => {
    assertEquals((await api.run("describe", "web")).out.split("\n"), [
      "Name:   web",
      "State:  never worked",
      "",
      "Last deploy",
      "  web-00003 failed after 31s: it ended with code 1; look at KEY (1m ago, by ci)",
      "    panic: no KEY",
      "",
      "Deploys",
      "  ENDED   BY     REVISION   IMAGE   OUTCOME     TOOK  REASON",
      "  1m ago  ci     web-00003  web:v3  failed      31s   it ended with code 1",
      "  2m ago  alice  -          web:v3  called off  5.0s  cless is shutting down",
      "",
      "To try it again: cless deploy web --image web:v3, with the other flags as before",
    ]);
    const { deploys, ...rest } = JSON.parse((await api.run("describe", "web", "--json")).out);
    assertEquals([rest, deploys], [{ name: "web", state: "never worked" }, DEPLOYS.slice(0, 2)]);
  },
);

apiTest("describe of a service that was deleted and has not worked since says that", {
  ...NEVER_WORKED,
  "GET /v1/services/web/history": [{ at: ago("3h"), action: "delete", by: "admin", before: {}, after: null }],
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n")[1], "State:  deleted 3h ago, and has not worked since");
});

apiTest("describe of a name that was never deployed says that there is no such service", {
  ...NEVER_WORKED,
  "GET /v1/services/web/deploys": problem(404, "there is no service web"),
}, async (api) => {
  assertEquals(await api.run("describe", "web"), { code: 1, out: "", err: "cless: there is no service web" });
});

apiTest("revisions --all has those that never worked, also if none did", {
  ...ANSWERS,
  "GET /v1/services/web/deploys": [...DEPLOYS, { ...DEPLOYS[0], revision: "web-00002" }],
}, async (api) => {
  assertEquals((await api.run("revisions", "web", "--all")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE  FAILED",
    "web-00003  -        -    web:v3  1m   never worked: it ended with code 1",
    "web-00002  70%      -    web:v2  5m   -",
    "web-00001  30%      old  web:v1  3d   -",
  ]);
  assertEquals((await api.run("revisions", "web", "-q")).out, "web-00002\nweb-00001");
  api.answers["GET /v1/services/web/revisions"] = problem(404, "there is no service web");
  assertEquals((await api.run("revisions", "web", "--all", "-q")).out, "web-00003\nweb-00002");
  assertEquals((await api.run("revisions", "web")).err, "cless: there is no service web");
});

const WAITING = {
  ...{ for: "answer", text: "nothing listens on port 8080 yet" },
  get since() {
    return ago("12s"); // when it is asked for, since the tests before may take seconds
  },
  ...{ revision: "web-00003", instance: "web-00003-x", probed: "refused", output: "migrating" },
};

apiTest("describe of a service whose first deploy is running says what it waits for, and what can be done", {
  ...NEVER_WORKED,
  "GET /v1/services/web/deploys": [
    { ...DEPLOYS[0], outcome: "running", reason: undefined, output: [], waiting: WAITING },
    DEPLOYS[1]!,
  ],
}, async (api) => {
  assertEquals((await api.run("describe", "web")).out.split("\n"), [
    "Name:         web",
    "State:        deploying for 12s: nothing listens on port 8080 yet; last line: migrating",
    "Revision:     web-00003",
    "Image:        web:v3",
    "Deployed by:  ci",
    "",
    "Deploys before",
    "  ENDED   BY     REVISION  IMAGE   OUTCOME     TOOK  REASON",
    "  2m ago  alice  -         web:v3  called off  5.0s  cless is shutting down",
    "",
    "Its output: cless logs web -f. To call it off: cless delete web",
  ]);
  const { name, state } = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals([name, state], ["web", "deploying"]);
});

apiTest("describe of a service that is deploying or starting says what it waits for, and the list only its state", {
  ...ANSWERS,
  "GET /v1/services": [{ ...WEB, state: "deploying", waiting: WAITING }],
  "GET /v1/services/web": { ...WEB, state: "deploying", waiting: WAITING },
}, async (api) => {
  assertStringIncludes((await api.run("describe", "web")).out, "\nState:        deploying for 12s: nothing listens");
  assert((await api.run("services")).out.endsWith("deploying"));
});

apiTest("describe shows the limits that hold, with where each comes from, and says when the image was rebuilt", {
  ...ANSWERS,
  "GET /v1/services/web": { ...WEB, imageChanged: true, noRobots: "--wake-except-robots" },
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: TEMPLATE,
    limits: {
      concurrency: { value: 0, from: "default" },
      maxInstances: { value: 3, from: "service" },
      pauseAfter: { value: "0", from: "--pause-after" },
      stopAfter: { value: "10m", from: "CLESS_STOP_AFTER" },
      memory: { value: "4123456789b", from: "default" },
      cpus: { value: 0, from: "default" },
      droppedCapabilities: { value: ["MKNOD", "NET_RAW"], from: "default" },
    },
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(out, "\nNot woken by:  known-robots (cless robots lists them), by --wake-except-robots\n");
  assertStringIncludes(out, "\nImage:         rebuilt since web-00002 was made: cless deploy web takes it\n");
  assertStringIncludes(
    out,
    [
      "Limits",
      "  LIMIT                VALUE           FROM",
      "  concurrency          no limit        default",
      "  maxInstances         3               service",
      "  pauseAfter           never           --pause-after",
      "  stopAfter            10m             CLESS_STOP_AFTER",
      "  memory               3.8 GiB         default",
      "  cpus                 no limit        default",
      "  droppedCapabilities  MKNOD, NET_RAW  default",
    ].join("\n"),
  );
  assert(!/^ +memory: /m.test(out), "a limit is shown once");
  assertEquals(JSON.parse((await api.run("describe", "web", "--json")).out).limits.maxInstances.value, 3);
});

apiTest("describe has the warnings of the latest revision", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: TEMPLATE,
    warnings: ["its user 1000 cannot write to /data\x1b[2J"],
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(out, "\n\nWarnings\n  web-00002: its user 1000 cannot write to /data\n\n");
});

apiTest("describe names the machines of volumes", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: {
      ...TEMPLATE,
      volumes: [{ source: "data", path: "/data", readOnly: true }, { source: "new", path: "/new", readOnly: false }],
    },
    volumeNodes: [{ source: "data", node: "second" }],
    warnings: [],
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  const volumes = [...out.matchAll(/^ +volume (.+?): +(.+)$/gm)].map(([, path, text]) => [path, text]);
  assertEquals(volumes, [["/data", "data, read-only, on the machine second"], ["/new", "new"]]);
});

apiTest("describe leaves out what an older cless does not know", {
  ...ANSWERS,
  "GET /v1/services/web/wakes": problem(404, "There is no such resource"),
  "GET /v1/services/web/deploys": problem(404, "There is no such resource"),
}, async (api) => {
  const { code, out } = await api.run("describe", "web");
  assertEquals([code, out.includes("Limits"), out.includes("Wakes")], [0, false, false]);
  assertStringIncludes(out, "\nInstances\n");
});
