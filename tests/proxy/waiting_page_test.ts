import { assert, assertEquals, assertMatch } from "@std/assert";
import type { BrowserContextOptions } from "playwright-core";
import type { Waking } from "../../src/routing/service.ts";
import { barriers, browserTest, type Tab } from "../support/chromium.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { Relay } from "../support/relay.ts";

const WAKING: Waking = { rules: undefined, page: true };
const APP = "<!DOCTYPE html><html lang=en><title>App</title><link rel=icon href=data:,><h1>Hello</h1></html>";

function app(): Origin {
  return Origin.answering(
    `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${APP.length}\r\n\r\n${APP}`,
  );
}

/** A test in a browser with a service that shows the page. */
function pageTest(
  name: string,
  options: BrowserContextOptions,
  fn: (harness: Harness, tab: Tab, clock: FakeClock) => Promise<void>,
): void {
  browserTest(name, options, async (tab) => {
    const clock = new FakeClock();
    await using harness = Harness.cold({ waking: WAKING, clock });
    try {
      await fn(harness, tab, clock);
    } finally {
      await tab.page.context().close(); // its open connections would delay the end
    }
  });
}

const urlOf = (harness: Harness) => `http://app.localhost:${harness.port}/cart?x=1#top`;

for (const scheme of ["light", "dark"] as const) {
  pageTest(
    `the page is replaced by the app, ${scheme}`,
    { colorScheme: scheme },
    async (harness, { page, complaints }, clock) => {
      await using origin = app();
      const answer = await clock.until(page.goto(urlOf(harness)));
      assertEquals([answer!.status(), answer!.headers()["cless-loading"]], [503, "page"]);
      assertEquals(await page.title(), "Starting app.localhost");
      assertEquals(await page.getByRole("heading").innerText(), "Starting app.localhost");
      assertMatch(await page.getByRole("status").innerText(), /^It was asleep\. This takes a moment/);
      assertEquals(await barriers(page), []);
      const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
      assertEquals(ground, { light: "rgb(246, 247, 249)", dark: "rgb(18, 22, 28)" }[scheme]);
      (await harness.launcher.nextLaunch()).succeed(origin.url);
      await page.getByText("Hello").waitFor();
      assertEquals(page.url(), urlOf(harness));
      assertEquals(harness.launcher.called("launch").length, 1);
      assertEquals(complaints, []);
      await harness.idle();
    },
  );

  pageTest(
    `the page says that the start has failed, ${scheme}`,
    { colorScheme: scheme },
    async (harness, { page, complaints }, clock) => {
      await using origin = app();
      await clock.until(page.goto(urlOf(harness)));
      (await harness.launcher.nextLaunch()).fail(new Error("no room on /secret/place"));
      await page.getByRole("heading", { name: "app.localhost could not be started" }).waitFor();
      assertMatch(await page.getByRole("status").innerText(), /can see why/);
      assert(!(await page.content()).includes("secret"));
      assertEquals(await barriers(page), []);
      assertEquals(harness.launcher.called("launch").length, 1);
      await clock.advance(4000); // until then the failure is reported, and nothing is started
      const clicked = page.getByRole("link", { name: "Try again" }).click();
      (await harness.launcher.nextLaunch()).succeed(origin.url);
      await clicked;
      await page.getByText("Hello").waitFor();
      assertEquals(complaints, []);
      await harness.idle();
    },
  );
}

pageTest(
  "without scripts the page reloads until the app is there",
  { javaScriptEnabled: false },
  async (harness, { page }, clock) => {
    await using origin = app();
    await clock.until(page.goto(urlOf(harness)));
    const launch = await harness.launcher.nextLaunch();
    await clock.until(page.waitForResponse((response) => response.status() === 503)); // it has reloaded
    launch.succeed(origin.url);
    await page.getByText("Hello").waitFor();
    assertEquals(harness.launcher.called("launch").length, 1);
    await harness.idle();
  },
);

pageTest(
  "without scripts, too, the page says that the start has failed",
  { javaScriptEnabled: false },
  async (harness, { page }, clock) => {
    await clock.until(page.goto(urlOf(harness)));
    (await harness.launcher.nextLaunch()).fail(new Error("no"));
    await page.getByRole("heading", { name: "app.localhost could not be started" }).waitFor();
    assertEquals(harness.launcher.called("launch").length, 1);
  },
);

pageTest(
  "with reduced motion the page does not move",
  { reducedMotion: "reduce" },
  async (harness, { page, complaints }, clock) => {
    await clock.until(page.goto(urlOf(harness)));
    assertEquals(await page.evaluate("document.getAnimations().length"), 0);
    assertEquals(complaints, []);
    (await harness.launcher.nextLaunch()).fail(new Error("no"));
    await page.getByText("could not be started").first().waitFor();
  },
);

browserTest(
  "a browser that has lost its connection reconnects, and then shows the app",
  {},
  async ({ page }) => {
    await using origin = app();
    await using first = Harness.cold({ waking: WAKING });
    await using second = Harness.cold({ waking: WAKING, origin });
    using relay = new Relay(first.port);
    const listening = page.waitForResponse((response) => response.url().includes("/cless/ready"));
    await page.goto(`http://app.localhost:${relay.port}/`);
    const launch = await first.launcher.nextLaunch();
    await listening;
    relay.turn(second.port);
    await page.getByText("Hello").waitFor();
    assertEquals(second.launcher.called("launch").length, 1);
    launch.fail(new Error("no"));
    await page.context().close(); // its open connections would delay the end
  },
);
