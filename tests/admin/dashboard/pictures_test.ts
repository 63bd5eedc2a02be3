import { assert, assertEquals } from "@std/assert";
import { barriers } from "../../support/chromium.ts";
import { type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { ROOT } from "../../support/sources.ts";
import { NAPPING, paintScenery, RUNNING } from "../../support/scenery.ts";
import { until } from "../../support/until.ts";

/** `deno task picture:dashboard` sets it: then the pictures of the documentation are written. */
const WRITE = (await Deno.permissions.query({ name: "env", variable: "CLESS_PICTURES" })).state === "granted" &&
  Deno.env.get("CLESS_PICTURES") !== undefined;
const SIZE = { width: 1200, height: 760 };

/** Keeps the page as it is now as `docs/dashboard-NAME.png`. */
async function take({ page }: DashboardRig, name: string): Promise<void> {
  const path = new URL(`docs/dashboard-${name}.png`, ROOT).pathname;
  await page.evaluate(() => document.fonts.ready);
  const bytes = await page.screenshot({ animations: "disabled", ...(WRITE ? { path } : {}) });
  assert(bytes.length < 250_000, `${name} has ${bytes.length} bytes`);
}

/** Wakes the services that can run, and the one that cannot; two of them are asked for more. */
async function populate({ program }: DashboardRig): Promise<void> {
  const ask = async (name: string) => (await program.get(name)).status;
  const failing = ask("invoices");
  assertEquals(new Set(await Promise.all([...NAPPING, ...RUNNING].map(ask))), new Set([200]));
  assertEquals(await failing, 504);
  for (let n = 0; n < 60; n++) await Promise.all(["shop", "shop", "shop-api"].map(ask));
  const states = async () => {
    const list = await program.api("/v1/activity") as { service: string; state: string }[];
    return list.filter(({ service }) => NAPPING.includes(service)).map(({ state }) => state);
  };
  await until(async () => (await states()).every((state) => state === "paused" || state === "hibernated"));
}

for (const colorScheme of ["light", "dark"] as const) {
  dashboardTest(`a day of 43 services, and of one of them: ${colorScheme}`, {
    ...{ colorScheme, viewport: SIZE, timezoneId: "UTC" },
    prepare: (dataDir) => paintScenery(dataDir, { now: Date.now() }),
  }, async (rig) => {
    const { page } = rig;
    await populate(rig);
    await rig.open();
    await page.getByRole("heading", { name: /^43 services, 3 awake, \d.* not used$/ }).waitFor();
    const attention = page.getByRole("region", { name: "Needs attention" });
    for (const text of [/^deploy failed/, /^failing/]) await attention.getByText(text).waitFor();
    await page.getByRole("slider").first().waitFor();
    assertEquals(await barriers(page), []);
    await take(rig, `all-${colorScheme}`);
    await page.setViewportSize({ ...SIZE, height: 1110 });
    await page.getByRole("link", { name: "shop", exact: true }).click();
    await page.getByLabel("Share of shop-00001").waitFor();
    await page.getByRole("heading", { name: "Over time" }).waitFor();
    await page.locator("canvas").first().waitFor();
    assertEquals(await barriers(page), []);
    await take(rig, `service-${colorScheme}`);
    if (colorScheme === "light") return;
    await page.setViewportSize({ width: 390, height: 760 });
    await page.getByRole("link", { name: "Services", exact: true }).click();
    await page.getByRole("heading", { name: /^43 services/ }).waitFor();
    await page.getByRole("slider").first().waitFor();
    await take(rig, "phone");
  });
}
