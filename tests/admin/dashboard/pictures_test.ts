import { assert, assertEquals } from "@std/assert";
import { barriers } from "../../support/chromium.ts";
import { type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { ROOT } from "../../support/sources.ts";
import { paintScenery } from "../../support/scenery.ts";

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

/** Wakes the services that can run, and the one that cannot. */
async function populate({ program }: DashboardRig): Promise<void> {
  for (const name of ["shop", "wiki", "status"]) assertEquals((await program.get(name)).status, 200);
  assertEquals((await program.get("invoices")).status, 504);
}

for (const colorScheme of ["light", "dark"] as const) {
  dashboardTest(`a day of 43 services: ${colorScheme}`, {
    ...{ colorScheme, viewport: SIZE, timezoneId: "UTC" },
    prepare: (dataDir) => paintScenery(dataDir, { now: Date.now() }),
  }, async (rig) => {
    const { page } = rig;
    await populate(rig);
    await rig.open();
    await page.getByRole("heading", { name: /^43 services, 3 awake, \d.* not used$/ }).waitFor();
    const attention = page.getByRole("region", { name: "Needs attention" });
    for (const text of [/^deploy failed/, /^failing/]) await attention.getByText(text).waitFor();
    assertEquals(await barriers(page), []);
    await take(rig, colorScheme);
  });
}
