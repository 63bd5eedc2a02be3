/// <reference lib="dom" />
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { declareServices, nameOf } from "../../bench/growth/declared.ts";
import { assertUsable, type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { freePorts } from "../../support/free_ports.ts";
import { Relay } from "../../support/relay.ts";
import { until } from "../../support/until.ts";

const LOST = "No connection to cless; trying again…";

/** The row of a service in which a text stands. */
function row(page: Page, service: string, text: string) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name: service, exact: true }), hasText: text });
}

/** Lets `golang` run once, so that it is listed. */
async function useGolang({ program }: DashboardRig): Promise<void> {
  assertEquals((await program.get("golang")).status, 200);
}

async function sleep({ program }: DashboardRig): Promise<void> {
  assertEquals((await program.send("POST", "/v1/services/golang/sleep")).status, 204);
}

dashboardTest("a wake shows as it happens, by the events alone", {
  expected: /^Failed to load resource: net::ERR_FAILED/,
}, async (rig) => {
  const { page } = rig;
  await useGolang(rig);
  await sleep(rig);
  await rig.open();
  await row(page, "golang", "asleep").waitFor();
  await page.getByRole("heading", { name: "1 service, 0 awake" }).waitFor();
  // From now on the page gets no lists: it has only what the events tell.
  await page.route("**/v1/activity*", (route) => route.abort());
  await page.route("**/v1/timelines*", (route) => route.abort());
  await useGolang(rig);
  await row(page, "golang", "ready").waitFor();
  await page.getByRole("heading", { name: "1 service, 1 awake" }).waitFor();
  await sleep(rig);
  await row(page, "golang", "asleep").waitFor();
});

dashboardTest("a lost connection is told, and what happened meanwhile shows when it is back", {
  expected: /^Failed to load resource: net::ERR_/,
}, async (rig) => {
  const { page, program } = rig;
  await useGolang(rig);
  using relay = new Relay(program.admin.port);
  await rig.open({ port: relay.port });
  await row(page, "golang", "ready").waitFor();
  relay.turn(freePorts(1));
  await page.getByText(LOST).waitFor();
  await row(page, "golang", "ready").waitFor();
  await sleep(rig);
  relay.turn(program.admin.port);
  await row(page, "golang", "asleep").waitFor();
  await page.getByText(LOST).waitFor({ state: "detached" });
});

dashboardTest("a connection that falls silent without an end is told, and made again", {
  expected: /^Failed to load resource: net::ERR_/,
}, async (rig) => {
  const { page, program } = rig;
  await useGolang(rig);
  using relay = new Relay(program.admin.port);
  await rig.open({ port: relay.port });
  await row(page, "golang", "ready").waitFor();
  relay.hang(true);
  await page.getByText(LOST).waitFor();
  await sleep(rig);
  relay.hang(false);
  await row(page, "golang", "asleep").waitFor();
  await page.getByText(LOST).waitFor({ state: "detached" });
});

dashboardTest(
  "pointing at a wake, or going there by the arrow keys, tells who it was for and how long it took",
  {},
  async (rig) => {
    const { page, program } = rig;
    const headers = { "user-agent": "Night-Watch/1.0" };
    assertEquals((await program.get("golang", "/cart?secret=1", { headers })).status, 200);
    await until(async () => (await program.api("/v1/wakes")).length === 1);
    await rig.open();
    const band = page.getByRole("slider", { name: /^golang, the last 24 hours/ });
    await band.focus();
    await page.keyboard.press("ArrowLeft");
    const told = await band.getAttribute("aria-valuetext");
    assertMatch(told!, /cold.*GET.*\/cart.*127\.0\.0\.0\/24/);
    assert(!told!.includes("secret"), told!);
    await page.keyboard.press("Escape");
    const { x, y, width, height } = (await band.boundingBox())!;
    await page.mouse.move(x + width - 10, y + height / 2); // the dot is at the end, and smaller than this
    await page.locator(".tip").getByText("/cart").waitFor();
    await page.mouse.down();
    await page.mouse.up();
    await page.getByRole("heading", { name: "Who woke it" }).waitFor();
  },
);

dashboardTest("on a phone, a tap on a wake tells who it was for, and the list of wakes is not cut off", {
  viewport: { width: 390, height: 760 },
  hasTouch: true,
}, async (rig) => {
  const { page, program } = rig;
  assertEquals((await program.get("golang", "/cart")).status, 200);
  await until(async () => (await program.api("/v1/wakes")).length === 1);
  await rig.open();
  const { x, y, width, height } = (await page.getByRole("slider", { name: /^golang/ }).boundingBox())!;
  await page.touchscreen.tap(x + width - 18, y + height / 2);
  await page.locator(".tip").getByText("/cart").waitFor();
  await page.evaluate(() => location.hash = "#/services/golang/wakes");
  await page.locator("td").getByText("/cart").waitFor();
  const hidden = await page.locator(".scroll").evaluate((box) => box.scrollWidth - box.clientWidth);
  assertEquals(hidden, 0);
});

dashboardTest("looking wakes nothing", {}, async (rig) => {
  const { page, program } = rig;
  await useGolang(rig);
  await sleep(rig);
  await rig.open();
  await row(page, "golang", "asleep").click();
  await rig.goto(`${rig.url}#/services/golang`);
  await page.getByText("golang").first().waitFor();
  await page.waitForLoadState("domcontentloaded");
  assertEquals(await program.api("/v1/instances"), []);
});

dashboardTest(
  "200 services are there at once, with at most 90,000 bytes of files, and can be searched by the keyboard",
  {
    prepare: (dataDir) =>
      declareServices(dataDir, Array.from({ length: 200 }, (_, at) => at), { app: undefined!, real: new Set() }),
  },
  async (rig) => {
    const { page } = rig;
    await rig.open();
    const bytes = await page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => !new URL(name).pathname.startsWith("/v1/"))
        .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0)
    );
    await page.addInitScript(() => {
      const look = () => {
        if (document.querySelectorAll("tbody tr").length < 200) requestAnimationFrame(look);
        else performance.mark("rows");
      };
      look();
    });
    await rig.reload();
    await page.getByRole("link", { name: nameOf(199) }).waitFor();
    const [paint, rows] = await page.evaluate(() =>
      ["first-contentful-paint", "rows"].map((name) => Math.round(performance.getEntriesByName(name)[0]!.startTime))
    );
    console.log(`200 services: first paint after ${paint} ms, all rows after ${rows} ms, ${bytes} bytes of files`);
    assert(bytes > 50_000 && bytes <= 90_000, `${bytes} bytes`);
    assertEquals(await page.getByRole("row").count(), 201);
    await page.getByRole("heading", { name: "200 services, 0 awake" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("app-0019");
    await page.getByRole("link", { name: nameOf(189) }).waitFor({ state: "detached" });
    assertEquals(await page.getByRole("row").count(), 11);
  },
);

dashboardTest("nothing keeps anybody from the list of services", {
  prepare: (dataDir) => declareServices(dataDir, [1, 2, 3], { app: undefined!, real: new Set() }),
}, async (rig) => {
  await useGolang(rig);
  await rig.open();
  await row(rig.page, "golang", "ready").waitFor();
  await assertUsable(rig.page);
});
