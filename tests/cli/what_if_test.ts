import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Answer, apiTest, type Asked, problem } from "./fake_api.ts";

const NOW = {
  ...{ pauseAfter: "1m", hibernateAfter: "5m", stopAfter: "10m", stopHibernatedAfter: "24h" },
  ...{ coldStartsPerDay: 0.154, wakesPerDay: { resume: 12.4, hibernated: 3 }, gbHoursPerDay: 0.1234 },
  idleGbHoursPerDay: 0.08764,
};
const ESTIMATE = {
  days: 6.5,
  canHibernate: true,
  minInstances: 0,
  gaps: [{ upToSeconds: 64, count: 90 }, { upToSeconds: 609, count: 31 }],
  memory: { awakeBytes: 25_165_824, pausedBytes: 12_582_912, hibernatedBytes: 1_258_291 },
  now: NOW,
  then: {
    ...{ pauseAfter: "30s", hibernateAfter: "0", stopAfter: "1h", stopHibernatedAfter: "1h" },
    ...{ coldStartsPerDay: 4.9, wakesPerDay: { resume: 14, hibernated: 0 }, gbHoursPerDay: 0.06 },
    idleGbHoursPerDay: 0.0242,
  },
};

apiTest("what-if shows what would be beside what is, and the line that makes it so", {
  "GET /v1/services/shop/what-if": ESTIMATE,
}, async (api) => {
  const flags = ["--pause-after", "30s", "--hibernate-after", "0", "--stop-after", "1h"];
  assertEquals((await api.run("what-if", "shop", ...flags)).out.split("\n"), [
    "Looked at:     6.5 days, with 121 times without a request",
    "One instance:  24.0 MiB awake, 12.0 MiB paused, 1.2 MiB hibernated",
    "",
    "                              NOW                  THEN",
    "pauseAfter                    1m                   30s",
    "hibernateAfter                5m                   never",
    "stopAfter                     10m, hibernated 24h  1h",
    "cold starts a day             0.15                 4.9",
    "resumes a day                 12                   14",
    "wakes from hibernation a day  3                    0",
    "GB-hours of RAM a day         0.123                0.06",
    "of these while idle           0.0876               0.0242",
    "",
    "To apply it: cless deploy shop --pause-after 30s --hibernate-after 0 --stop-after 1h",
  ]);
  assertEquals(
    api.asked.at(-1)!.line,
    "GET /v1/services/shop/what-if?pauseAfter=30s&hibernateAfter=0&stopAfter=1h&days=7",
  );
  assertEquals(JSON.parse((await api.run("what-if", "shop", "--json", "--days", "30")).out), ESTIMATE);
  assertEquals(api.asked.at(-1)!.line, "GET /v1/services/shop/what-if?days=30");
});

apiTest("without settings it shows what is, and only what has an effect can be applied", {
  "GET /v1/services/shop/what-if": { ...ESTIMATE, canHibernate: false, minInstances: 2, gaps: [] },
  "GET /v1/services/shop/what-if?hibernateAfter=2m&days=7": { ...ESTIMATE, canHibernate: false },
  "GET /v1/services/shop/what-if?hibernateAfter=2m&stopAfter=1h&days=7": { ...ESTIMATE, canHibernate: false },
}, async (api) => {
  const lines = (await api.run("what-if", "shop")).out.split("\n");
  assertEquals(lines.slice(0, 2), [
    "Looked at:     6.5 days, with 0 times without a request",
    "One instance:  24.0 MiB awake, 12.0 MiB paused",
  ]);
  assertEquals(lines[4], "pauseAfter                    1m");
  assertEquals(lines.slice(-3), [
    "This machine cannot hibernate now, so hibernateAfter has no effect; cless doctor says why.",
    "",
    "Its minInstances is 2, so its instances do not sleep.",
  ]);
  const { out } = await api.run("what-if", "shop", "--hibernate-after", "2m");
  assertStringIncludes(out, "has no effect; cless doctor says why.");
  assert(!out.includes("To apply it"), "nothing of it has an effect");
  const both = await api.run("what-if", "shop", "--hibernate-after", "2m", "--stop-after", "1h");
  assertEquals(both.out.split("\n").at(-1), "To apply it: cless deploy shop --stop-after 1h");
});

/** What the API answers for a service that stops after this time, or with other settings. */
function estimateAt({ line }: Asked): object {
  const stopAfter = new URL(line.split(" ")[1]!, "http://localhost").searchParams.get("stopAfter");
  const now = { ...NOW, stopAfter: "50m", stopHibernatedAfter: "50m", coldStartsPerDay: 3.5, idleGbHoursPerDay: 0.09 };
  const minutes = stopAfter === null ? 50 : parseInt(stopAfter) * (stopAfter.endsWith("h") ? 60 : 1);
  const asked = stopAfter === null ? {} : { stopAfter, stopHibernatedAfter: stopAfter };
  const gbHours = { gbHoursPerDay: minutes / 500, idleGbHoursPerDay: minutes * 1.1111 / 600 };
  const then = { ...now, ...asked, coldStartsPerDay: 175 / minutes, ...gbHours };
  return { ...ESTIMATE, now, then };
}

apiTest("without settings it lists what times to stop after would have brought, with the present one", {
  "GET /v1/services/shop/what-if": estimateAt,
}, async (api) => {
  const lines = (await api.run("what-if", "shop")).out.split("\n");
  const [at] = [lines.findIndex((line) => line.startsWith("STOP-AFTER"))];
  assertEquals(lines.slice(at), [
    "STOP-AFTER  COLD STARTS A DAY  GB-HOURS A DAY  WHILE IDLE",
    "5m          35                 0.01            0.00926",
    "10m         18                 0.02            0.0185",
    "15m         12                 0.03            0.0278",
    "20m         8.8                0.04            0.037",
    "30m         5.8                0.06            0.0556",
    "45m         3.9                0.09            0.0833",
    "50m (now)   3.5                0.123           0.09",
    "1h          2.9                0.12            0.111",
    "90m         1.9                0.18            0.167",
    "2h          1.5                0.24            0.222",
    "3h          0.97               0.36            0.333",
    "6h          0.49               0.72            0.667",
    "12h         0.24               1.44            1.33",
    "24h         0.12               2.88            2.67",
    "",
    "For a goal: cless what-if shop --max-cold-starts 5",
  ]);
});

apiTest(
  "of the times to stop after, one is proposed that saves memory and brings no more cold starts than the present one",
  {
    "GET /v1/services/shop/what-if": (asked) => {
      const { now, then, ...estimate } = estimateAt(asked) as typeof ESTIMATE;
      return { ...estimate, now: { ...now, coldStartsPerDay: 6 }, then };
    },
  },
  async (api) => {
    const { out } = await api.run("what-if", "shop");
    assertEquals(
      out.split("\n").at(-3),
      "With no more cold starts than now, it takes 0.0556 GB-hours a day while idle: cless deploy shop --stop-after 30m",
    );
  },
);

apiTest("what-if says that nothing is known yet, what is no duration, and that there is no such service", {
  "GET /v1/services/shop/what-if": { ...ESTIMATE, days: 0 },
  "GET /v1/services/none/what-if": problem(404, "there is no service none"),
}, async (api) => {
  assertEquals((await api.run("what-if", "shop")).out, "no request of shop has been counted yet");
  const wrong = await api.run("what-if", "shop", "--stop-after", "soon");
  assertEquals([wrong.code, wrong.err.includes("--stop-after")], [2, true]);
  assertEquals((await api.run("what-if", "none")).code, 1);
});

apiTest("without a name, what-if lists all services and their sums", {
  "GET /v1/services": [{ name: "blog" }, { name: "shop" }],
  "GET /v1/services/shop/what-if": ESTIMATE,
  "GET /v1/services/blog/what-if": { ...ESTIMATE, days: 0.25, now: { ...NOW, coldStartsPerDay: 2 } },
}, async (api) => {
  const lines = (await api.run("what-if", "--stop-after", "1h")).out.split("\n");
  assertEquals(lines, [
    "NAME  LOOKED AT  COLD STARTS  THEN  WAKES  THEN  GB-HOURS  THEN  WHILE IDLE  THEN",
    "blog  6h         2            4.9   15     14    0.123     0.06  0.0876      0.0242",
    "shop  6.5 days   0.15         4.9   15     14    0.123     0.06  0.0876      0.0242",
    "all              2.2          9.8   31     28    0.247     0.12  0.175       0.0484",
    "",
    "All numbers are per day. WAKES are those from a pause or from hibernation. WHILE IDLE is the part of the GB-hours without a request under way: only that changes with the settings.",
    "",
    "For one service: cless what-if NAME --stop-after 1h",
  ]);
  assertEquals(
    (await api.run("what-if")).out.split("\n")[1],
    "blog  6h         2            15     0.123     0.0876",
  );
  assertEquals(JSON.parse((await api.run("what-if", "--json")).out)[1], { service: "shop", ...ESTIMATE });
  assertEquals((await api.run("what-if", "shop", "blog", "--stop-after", "1h")).out.split("\n").slice(1, 3), [
    "shop  6.5 days   0.15         4.9   15     14    0.123     0.06  0.0876      0.0242",
    "blog  6h         2            4.9   15     14    0.123     0.06  0.0876      0.0242",
  ], "several services are listed as they are named");
});

const BLOG = {
  ...ESTIMATE,
  now: { ...NOW, stopHibernatedAfter: "10m", coldStartsPerDay: 12, idleGbHoursPerDay: 0.306 },
  then: { ...NOW, stopAfter: "30m", stopHibernatedAfter: "30m", coldStartsPerDay: 4.9, idleGbHoursPerDay: 0.3784 },
};
const GOAL: Record<string, Answer> = {
  "GET /v1/services": ["blog", "few", "invoices", "kept", "same", "shop"].map((name) => {
    return { name, state: name === "invoices" ? "failing" : "asleep" };
  }),
  "GET /v1/services/blog/what-if": BLOG,
  "GET /v1/services/few/what-if": { ...ESTIMATE, gaps: [{ upToSeconds: 64, count: 1 }] },
  "GET /v1/services/invoices/what-if": ESTIMATE,
  "GET /v1/services/kept/what-if": { ...ESTIMATE, minInstances: 2 },
  "GET /v1/services/same/what-if": { ...ESTIMATE, now: ESTIMATE.then },
  "GET /v1/services/shop/what-if": ESTIMATE,
};
const EXPLAINED =
  "THEN stops as early as at most 5 cold starts a day of each service allow. All numbers are per day, " +
  "and IDLE GB-HOURS are those without a request under way.";

apiTest(
  "for a goal, what-if names the shortest time to stop after of each service, what it saves, and how to apply it",
  GOAL,
  async (api) => {
    const { out } = await api.run("what-if", "--max-cold-starts", "5");
    assertEquals(out.split("\n"), [
      "NAME  STOP-AFTER           THEN    COLD STARTS  THEN  IDLE GB-HOURS  THEN",
      "blog  10m                  30m     12           4.9   0.306          0.378",
      "same  1h                   as now  4.9          4.9   0.0242         0.0242",
      "shop  10m, hibernated 24h  1h      0.15         4.9   0.0876         0.0242",
      "all                                17           15    0.418          0.427",
      "",
      "few: only 1 time without a request; too few to tell much",
      "invoices: failing; its figures say nothing about use",
      "kept: its minInstances is 2, so its instances do not sleep",
      "",
      EXPLAINED,
      "",
      "To apply it:",
      "  cless deploy blog --stop-after 30m",
      "  cless deploy shop --stop-after 1h",
    ]);
    assertEquals(api.asked.at(-1)!.line, "GET /v1/services/shop/what-if?maxColdStarts=5&days=7");
  },
);

apiTest("a goal takes other settings and names of services, and no time to stop after", GOAL, async (api) => {
  const one = await api.run("what-if", "shop", "--max-cold-starts", "5", "--pause-after", "30s");
  assertEquals(one.out.split("\n").slice(1), [
    "shop  10m, hibernated 24h  1h    0.15         4.9   0.0876         0.0242",
    "",
    EXPLAINED,
    "",
    "To apply it:",
    "  cless deploy shop --pause-after 30s --stop-after 1h",
  ]);
  const none = await api.run("what-if", "same", "invoices", "--max-cold-starts", "5");
  assertEquals(none.out.split("\n").at(-1), "No service would sleep better with it.");
  assertEquals(
    JSON.parse((await api.run("what-if", "same", "--max-cold-starts", "5", "--json")).out)[0].service,
    "same",
  );
  const unknown = await api.run("what-if", "few", "--max-cold-starts", "5");
  assertEquals(unknown.out, "few: only 1 time without a request; too few to tell much");
  const both = await api.run("what-if", "--max-cold-starts", "5", "--stop-after", "1h");
  const err = "cless: --max-cold-starts finds the time to stop after; give it or --stop-after";
  assertEquals(both, { code: 2, out: "", err });
});

apiTest("what-if sums up no service that is failing, and says so", {
  ...GOAL,
  "GET /v1/services/invoices": { name: "invoices", state: "failing" },
}, async (api) => {
  const lines = (await api.run("what-if", "invoices", "shop")).out.split("\n");
  assertEquals(lines.slice(1, 5), [
    "shop  6.5 days   0.15         15     0.123     0.0876",
    "all              0.15         15     0.123     0.0876",
    "",
    "invoices: failing; its figures say nothing about use",
  ]);
  assertEquals(lines.at(-1), "For a goal: cless what-if --max-cold-starts 5");
  const [caveat] = (await api.run("what-if", "invoices")).out.split("\n");
  assertEquals(caveat, "invoices: failing; its figures say nothing about use");
});

apiTest("without services, what-if says so", { "GET /v1/services": [] }, async (api) => {
  assertEquals((await api.run("what-if")).out, "there are no services yet");
});
