/// <reference lib="dom" />
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { noNet, noRead, noRun, noWrite } from "./permissions.ts";

/** Where this machine has Chromium; `undefined` where it has none, or a test may not use it. */
const chromium = noNet || noRead || noRun || noWrite ? undefined : await findChromium();

/** How long the browser may take for something, ms. */
const PATIENCE_MS = 15_000;

async function findChromium(): Promise<string | undefined> {
  for (const path of ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]) {
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

/** The browser of all tests of a file: its start takes longer than most of them. */
let browser: Promise<Browser> | undefined;

async function launch(): Promise<Browser> {
  const { chromium: driver } = await import("playwright-core");
  return await driver.launch({ executablePath: chromium!, args: ["--no-sandbox"] });
}

Deno.test.afterAll(async () => await (await browser)?.close());

/** A page of the browser's, and what has gone wrong in it. */
export interface Tab {
  readonly page: Page;
  /** What the browser has complained of; that the page itself was answered with an error does not count. */
  readonly complaints: string[];
}

/** A test in a fresh context of the browser; there is none where there is no browser. */
export function browserTest(name: string, options: BrowserContextOptions, fn: (tab: Tab) => Promise<void>): void {
  if (chromium === undefined) return;
  Deno.test({
    name,
    // The driver keeps timers and pipes of its own.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const context = await (await (browser ??= launch())).newContext(options);
      try {
        context.setDefaultTimeout(PATIENCE_MS);
        const page = await context.newPage();
        const complaints: string[] = [];
        page.on("pageerror", (error) => complaints.push(`${error}`));
        page.on("console", (message) => {
          const isAnswer = message.text().startsWith("Failed to load resource") &&
            message.location().url === page.url();
          if (message.type() !== "log" && !isAnswer) complaints.push(message.text());
        });
        await fn({ page, complaints });
      } finally {
        await context.close();
      }
    },
  });
}

/** What is hard to use for some, in the page as it is now. */
export async function barriers(page: Page): Promise<string[]> {
  const { source } = (await import("axe-core")).default;
  // Not as an element: the page's own policy would refuse it.
  await page.evaluate(source);
  const violations = await page.evaluate("axe.run().then(({ violations }) => violations)");
  return (violations as { id: string; help: string; nodes: { html: string }[] }[]).map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`
  );
}
