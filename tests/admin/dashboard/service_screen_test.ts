/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import { barriers } from "../../support/chromium.ts";
import { assertUsable, type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { build } from "../../support/docker.ts";
import { paintScenery } from "../../support/scenery.ts";

/** An app that writes a line for each request, and ends when it is told to. */
const TALKS = `FROM nodejs-docker
ENTRYPOINT ${
  JSON.stringify([
    "node",
    "-e",
    'require("http").createServer((q, a) => a.end("ok", () => console.log("asked for " + q.url))).listen(8080);' +
    'process.on("SIGTERM", () => process.exit())',
  ])
}`;

/** The parts of the screen, as their addresses end. */
const SECTIONS = ["", "/logs", "/wakes", "/what-if", "/revisions", "/environment", "/history"];

/** Deploys the service `web` with these greetings, one revision after the other. */
async function deployWeb({ program }: DashboardRig, ...greetings: string[]): Promise<void> {
  for (const greeting of greetings) {
    const body = { image: "golang-docker", env: { GREETING: greeting } };
    const { status, text } = await program.send("PUT", "/v1/services/web", body);
    assert(status < 300, text);
  }
}

async function trafficOf({ program }: DashboardRig): Promise<[revision: string, percent: number][]> {
  const { json } = await program.send("GET", "/v1/services/web");
  return json.traffic.map(({ revision, percent }: { revision: string; percent: number }) => [revision, percent]);
}

dashboardTest(
  "a split by sliders always sums to 100, and takes effect and goes back with one click each",
  {},
  async (rig) => {
    const { page } = rig;
    await deployWeb(rig, "Hello", "Hi", "Hey");
    await rig.open({ hash: "#/services/web" });
    const share = (revision: string) => page.getByLabel(`Share of ${revision}`);
    await share("latest").fill("40");
    await share("web-00001").fill("20");
    const values = await Promise.all(["latest", "web-00001", "web-00002"].map((name) => share(name).inputValue()));
    assertEquals([values[1], values.map(Number).reduce((sum, value) => sum + value)], ["20", 100]);
    assertEquals(await trafficOf(rig), [["latest", 100]]);
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByRole("status").getByText("web-00001 20%").waitFor();
    const split = await trafficOf(rig);
    assertEquals(split.find(([revision]) => revision === "web-00001"), ["web-00001", 20]);
    assertEquals(split.reduce((sum, [, percent]) => sum + percent, 0), 100);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("status").getByText("undone").waitFor();
    assertEquals((await trafficOf(rig)).map(([, percent]) => percent), [100]);
  },
);

dashboardTest("an earlier split is found in the history, and undone there", {}, async (rig) => {
  const { page, program } = rig;
  await deployWeb(rig, "Hello", "Hi");
  const split = [{ revision: "web-00001", percent: 70 }, { revision: "web-00002", percent: 30 }];
  assertEquals((await program.send("PUT", "/v1/services/web/traffic", split)).status, 200);
  await rig.open({ hash: "#/services/web/history" });
  // The row of the split that holds now has no button.
  const back = page.getByRole("button", { name: /^Roll back to/ });
  await back.first().waitFor();
  assertEquals(await back.allTextContents(), ["Roll back to latest", "Roll back to web-00001"]);
  await back.first().click();
  await page.getByRole("status").getByText(/^traffic: /).waitFor();
  assertEquals((await trafficOf(rig)).map(([, percent]) => percent).filter((percent) => percent > 0), [100]);
  await page.getByRole("button", { name: "Roll back to 70/30" }).waitFor();
  await page.evaluate(() => location.hash = "#/services/web");
  await page.getByText(/^It undoes what \S+ did (now|\d+s ago)\.$/).waitFor();
  await page.getByRole("button", { name: "Roll back to web-00001 70%, web-00002 30%" }).click();
  await page.getByRole("status").getByText(/^traffic: /).waitFor();
  assertEquals(await trafficOf(rig), [["web-00001", 70], ["web-00002", 30]]);
});

dashboardTest(
  "what if tells what other times would bring, and applies them as a deploy that can be undone",
  {},
  async (rig) => {
    const { page, program } = rig;
    await deployWeb(rig, "Hello");
    assertEquals((await program.get("web")).status, 200);
    await rig.open({ hash: "#/services/web/what-if" });
    const slider = page.getByLabel("Stop after", { exact: true });
    await slider.waitFor();
    const apply = page.getByRole("button", { name: "Apply" });
    assertEquals(await apply.isDisabled(), true);
    await page.getByRole("button", { name: "Compare times to stop after" }).click();
    await page.getByRole("button", { name: "Choose 45 min" }).click();
    assertEquals(await slider.getAttribute("aria-valuetext"), "45 min");
    assertEquals(await barriers(page), []);
    await slider.fill("0");
    await page.getByText("1 min", { exact: true }).waitFor();
    await apply.click();
    await page.getByRole("status").getByText(/^web: stop after .* → 1 min$/).waitFor();
    const template = async () => {
      const { json } = await program.send("GET", "/v1/services/web");
      return (await program.send("GET", `/v1/services/web/revisions/${json.latestRevision}`)).json.template;
    };
    assertEquals((await template()).stopAfter, "1m");
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("status").getByText("undone").waitFor();
    assertEquals((await template()).stopAfter, undefined);
  },
);

dashboardTest("a token that can only look sees everything, and gets nothing to change it with", {
  expected: /^Failed to load resource: .* 403 /,
}, async (rig) => {
  const { page, program } = rig;
  await deployWeb(rig, "Hello", "Hi");
  const token = await rig.newToken("tv", "read");
  await rig.open({ token });
  await page.getByText("can only look").waitFor();
  const panels = {
    "": "Share of latest",
    "/logs": "Search the log",
    "/wakes": "Filter the wakes",
    "/what-if": "Stop after",
  };
  for (const [section, label] of Object.entries(panels)) {
    await page.evaluate((hash) => location.hash = hash, `#/services/web${section}`);
    await page.getByLabel(label, { exact: true }).waitFor();
  }
  assertEquals(await page.getByLabel("Share of latest").count(), 0);
  for (
    const [section, heading] of [["revisions", "What changed"], ["environment", "Variables of"], ["history", "Changes"]]
  ) {
    await page.evaluate((hash) => location.hash = hash, `#/services/web/${section}`);
    await page.getByRole("heading", { name: heading! }).waitFor();
  }
  assertEquals(await page.getByText("Hello").count(), 0);
  for (const section of SECTIONS) {
    await page.evaluate((hash) => location.hash = hash, `#/services/web${section}`);
    await page.getByRole("navigation", { name: "Parts of web" }).waitFor();
    const names = await page.getByRole("button").allTextContents();
    assertEquals(names.filter((name) => !/^(Sign out|Pause|Reset|Close|✕)$/.test(name.trim())), [], section);
  }
  // What is not in the page is refused by the API.
  const status = await page.evaluate(async () => {
    const { csrf } = await (await fetch("/v1/session")).json();
    const { status } = await fetch("/v1/services/web/sleep", { method: "POST", headers: { "cless-csrf": csrf } });
    return status;
  });
  assertEquals(status, 403);
  assertEquals((await program.api("/v1/services/web/revisions")).length, 2);
});

dashboardTest("the log follows what is written, can be paused, and can be searched", {}, async (rig) => {
  const { page, program } = rig;
  await using _image = await build("talks-docker", TALKS);
  const ask = async (path: string) => assertEquals((await program.get("talks", path)).status, 200);
  await ask("/before");
  await rig.open({ hash: "#/services/talks/logs" });
  const log = page.getByRole("log");
  await log.getByText("asked for /before").waitFor();
  await ask("/while-open");
  await log.getByText("asked for /while-open").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await ask("/while-paused");
  await page.getByText("1 new line").waitFor();
  assertEquals(await log.getByText("/while-paused").count(), 0);
  await page.getByRole("button", { name: "Resume" }).click();
  await log.getByText("asked for /while-paused").waitFor();
  await page.getByLabel("Search the log").fill("while-");
  await log.getByText("asked for /before").waitFor({ state: "detached" });
  await page.getByText("2 found").waitFor();
  // Each line has its instance, unless one is chosen.
  const [instance] = await program.containers("talks");
  const end = instance!.split("-").at(-1)!;
  await log.getByText(end).first().waitFor();
  await page.getByLabel("Instance").selectOption(instance!);
  await log.getByText(end).first().waitFor({ state: "detached" });
  await log.getByText("asked for /while-paused").waitFor();
});

dashboardTest("variables are hidden until they are asked for, and a change is a deploy", {}, async (rig) => {
  const { page, program } = rig;
  await deployWeb(rig, "Hello");
  await rig.open({ hash: "#/services/web/environment" });
  const field = page.getByLabel("Value of GREETING");
  assertEquals(await field.getAttribute("type"), "password");
  await page.getByLabel("Show values").check();
  assertEquals([await field.getAttribute("type"), await field.inputValue()], ["text", "Hello"]);
  await field.fill("Hi");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("status").getByText("web-00002 is deployed").waitFor();
  assertEquals((await program.get("web")).text.startsWith("Hi"), true);
  await page.getByLabel("Name", { exact: true }).fill("web.key");
  await page.getByLabel("New value").fill("hidden");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByRole("row", { name: /^web\.key 1/ }).waitFor();
  assertEquals(await page.getByText("hidden", { exact: true }).count(), 0);
});

dashboardTest("edits of variables stay when somebody else deploys meanwhile, which is told", {}, async (rig) => {
  const { page, program } = rig;
  await deployWeb(rig, "Hello");
  await rig.open({ hash: "#/services/web/environment" });
  await page.getByLabel("Show values").check();
  await page.getByLabel("Value of GREETING").fill("Mine");
  const body = { image: "golang-docker", env: { GREETING: "Theirs", LEVEL: "info" } };
  assertEquals((await program.send("PUT", "/v1/services/web", body)).status, 200);
  await page.getByText("web-00002 has been deployed meanwhile").waitFor();
  await page.getByText("It has changed GREETING too").waitFor();
  assertEquals(await page.getByLabel("Value of GREETING").inputValue(), "Mine");
  assertEquals(await page.getByLabel("Value of LEVEL").inputValue(), "info");
  assertEquals(await barriers(page), []);
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("status").getByText("web-00003 is deployed").waitFor();
  const { json } = await program.send("GET", "/v1/services/web/revisions/web-00003");
  assertEquals(json.template.env, { GREETING: "Mine", LEVEL: "info" });
  await page.getByText("deployed meanwhile").waitFor({ state: "detached" });
});

dashboardTest("why a service fails is told first, with the line of its app that says why", {
  prepare: (dataDir) => paintScenery(dataDir, { now: Date.now() }),
}, async (rig) => {
  const { page, program } = rig;
  assertEquals((await program.get("invoices")).status, 504);
  await rig.open();
  const attention = page.getByRole("region", { name: "Needs attention" });
  await attention.getByRole("link", { name: "preview-142" }).getByText("panic: no DATABASE_URL").waitFor();
  await attention.getByRole("link", { name: "invoices" }).click();
  await page.getByRole("region", { name: "Failure" }).getByText("nothing listens on port 9").waitFor();
  await page.evaluate(() => location.hash = "#/services/preview-142/history");
  const deploy = page.getByRole("region", { name: "Last deploy" });
  await deploy.getByText("panic: no DATABASE_URL").waitFor();
  await deploy.getByText("registry.example.com/preview-142:1.4").waitFor();
  await page.setViewportSize({ width: 200, height: 700 });
  const isCut = await deploy.locator("pre").evaluate(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth);
  assert(!isCut, "a line of output is longer than its box");
  await page.evaluate(() => location.hash = "#/services/preview-142/logs");
  await page.getByRole("log").getByRole("link", { name: "history" }).click();
  await page.getByText("Last output").waitFor();
});

dashboardTest("nothing keeps anybody from a service", {
  prepare: (dataDir) => paintScenery(dataDir, { now: Date.now() }),
}, async (rig) => {
  const { page, program } = rig;
  assertEquals((await program.get("shop")).status, 200);
  await rig.open();
  for (const section of SECTIONS) {
    await page.evaluate((hash) => location.hash = hash, `#/services/shop${section}`);
    await page.getByRole("heading", { name: "shop", level: 1 }).waitFor();
    await page.getByText(/^of the memory of one that is always awake, since its first start, \d+d ago$/).waitFor();
    await page.getByRole("main").getByRole("heading", { level: 2 }).first().waitFor();
    await assertUsable(page);
  }
});

dashboardTest("an address of a part that is not there shows the overview", {}, async (rig) => {
  await deployWeb(rig, "Hello");
  await rig.open({ hash: "#/services/web/toString" });
  await rig.page.getByRole("heading", { name: "Traffic" }).waitFor();
});

dashboardTest("what if tells of the sliders as they are, also if an earlier answer comes later", {}, async (rig) => {
  const { page, program } = rig;
  await deployWeb(rig, "Hello");
  const { json: estimate } = await program.send("GET", "/v1/services/web/what-if");
  const late = Promise.withResolvers<void>();
  await page.route(/what-if\?pauseAfter=/, async (route) => {
    const isEarlier = route.request().url().includes("pauseAfter=1s");
    if (isEarlier) await late.promise;
    await route.fulfill({ json: { ...estimate, then: { ...estimate.then, coldStartsPerDay: isEarlier ? 11 : 22 } } });
  });
  await rig.open({ hash: "#/services/web/what-if" });
  const earlier = page.waitForRequest(/what-if\?pauseAfter=1s/);
  await page.getByLabel("Pause after").fill("0");
  await earlier;
  await page.getByLabel("Pause after").fill("3");
  const cold = page.getByRole("row", { name: /^Cold starts/ });
  await cold.getByText("22", { exact: true }).waitFor();
  const answered = page.waitForResponse(/what-if\?pauseAfter=1s/);
  late.resolve();
  await (await answered).finished();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
  assertEquals(await cold.getByText("22", { exact: true }).count(), 1);
});
