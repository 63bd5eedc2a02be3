/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import type { BrowserContextOptions, Page } from "playwright-core";
import { barriers, browserTest } from "./chromium.ts";
import { noDocker } from "./docker.ts";
import { Program } from "./program.ts";

/** Options of a {@linkcode dashboardTest}. */
export interface DashboardOptions extends BrowserContextOptions {
  /** Prepares the data-dir before the program starts; it does not exist yet. */
  readonly prepare?: (dataDir: string) => Promise<void>;
  readonly flags?: readonly string[];
  /** Errors that the browser reports for a reason, such as an answer that the test provokes. */
  readonly expected?: RegExp;
}

/** What the browser reports when it asks whether there is a session, and there is none. */
const NO_SESSION = /^Failed to load resource: .* 401 .*\/v1\/session$/;

/** What it reports of requests that it breaks off when a container starts on this machine; the page sends them again. */
const NETWORK_CHANGED = /ERR_NETWORK_CHANGED|The page is not complete/;
const MAX_TRIES = 10;
/** A page that has not come after this time is loaded again. */
const LOADED_MS = 3000;

/** The real program, and its dashboard in a browser. */
export class DashboardRig {
  readonly program: Program;
  readonly page: Page;

  constructor(program: Program, page: Page) {
    this.program = program;
    this.page = page;
  }

  /** Where the dashboard is. */
  get url(): string {
    return `http://admin.localhost:${this.program.admin.port}/`;
  }

  /** The owner's token. */
  async token(): Promise<string> {
    return (await Deno.readTextFile(`${this.program.dataDir}/admin-token`)).trim();
  }

  /** Makes a token. */
  async newToken(name: string, scope: "read" | "deploy"): Promise<string> {
    const { json } = await this.program.send("POST", "/v1/tokens", { name, scope });
    return json.token;
  }

  /** Opens an address, also if a container starts on this machine just then: browsers break off what they load. */
  goto(url: string): Promise<void> {
    return this.#retry(() => this.page.goto(url));
  }

  /** Loads the page again, as {@linkcode goto} does. */
  reload(): Promise<void> {
    return this.#retry(() => this.page.reload());
  }

  async #retry(load: () => Promise<unknown>): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        await load();
        return;
      } catch (error) {
        if (tries === MAX_TRIES || !NETWORK_CHANGED.test(`${error}`)) throw error;
      }
    }
  }

  /**
   * Opens the page and signs in. @param options The owner's token, the first screen (`#/`) and the program's own port if
   * the test names no others.
   */
  async open(options: { token?: string; hash?: string; port?: number } = {}): Promise<void> {
    const { page } = this;
    const { hash = "", port = this.program.admin.port, token } = options;
    const field = page.getByLabel("Token");
    for (let tries = 1;; tries++) {
      await this.goto(`http://admin.localhost:${port}/${hash}`);
      try {
        await field.waitFor({ timeout: LOADED_MS });
        break;
      } catch (error) {
        if (tries === MAX_TRIES) throw error; // else its first module was broken off
      }
    }
    await field.fill(token ?? await this.token());
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Sign out" }).waitFor();
  }
}

/** The ends of the programs: each stops its containers while the next test begins. */
const endings: Promise<void>[] = [];
Deno.test.afterAll(async () => void await Promise.all(endings));

async function end(program: Program, folder: string): Promise<void> {
  await program[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
}

/** A test with the dashboard of the real program. It fails if the browser reports anything that is not expected. */
export function dashboardTest(name: string, options: DashboardOptions, fn: (rig: DashboardRig) => Promise<void>): void {
  const { expected, flags = [], prepare, ...context } = options;
  if (noDocker) return Deno.test({ name, ignore: true, fn: () => {} });
  browserTest(name, context, async ({ page }) => {
    const reports: string[] = [];
    page.on("pageerror", (error) => reports.push(`${error}`));
    page.on("console", (message) => {
      const report = `${message.text()} ${message.location().url}`;
      const isFine = NO_SESSION.test(report) || NETWORK_CHANGED.test(report) || expected?.test(report);
      if (["error", "warning"].includes(message.type()) && !isFine) reports.push(report);
    });
    const folder = await Deno.makeTempDir({ prefix: "dashboard-" });
    const dataDir = `${folder}/data`;
    await prepare?.(dataDir);
    const program = await Program.start({ dataDir, flags, logLevel: "info" });
    try {
      await fn(new DashboardRig(program, page));
    } finally {
      await page.close(); // its streams would keep the program from ending
      const ending = end(program, folder);
      ending.catch(() => {}); // it is told after all tests
      endings.push(ending);
    }
    assertEquals(reports, []);
  });
}

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };

/** Checks that nothing keeps anybody from using the page as it is now: dark and light, at a desk and on a phone. */
export async function assertUsable(page: Page): Promise<void> {
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const viewport of [DESK, PHONE]) {
      await page.setViewportSize(viewport);
      const look = `${page.url()} is ${colorScheme}, ${viewport.width} px wide`;
      assertEquals(await barriers(page), [], look);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert(width <= viewport.width, `${look}, and needs ${width} px`);
    }
  }
  await page.setViewportSize(DESK);
}
