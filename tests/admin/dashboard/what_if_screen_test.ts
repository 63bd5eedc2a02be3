/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { assertUsable, type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { paintScenery } from "../../support/scenery.ts";

const NAMES = ["blog", "web"];

/** The times to stop after that the services' latest revisions have. */
async function stops({ program }: DashboardRig): Promise<(string | undefined)[]> {
  return await Promise.all(NAMES.map(async (name) => {
    const { json: { latestRevision } } = await program.send("GET", `/v1/services/${name}`);
    return (await program.send("GET", `/v1/services/${name}/revisions/${latestRevision}`)).json.template.stopAfter;
  }));
}

dashboardTest(
  "other idle times are tried for all services at once, applied to those that are chosen, and undone",
  {},
  async (rig) => {
    const { page, program } = rig;
    for (const name of NAMES) {
      assertEquals((await program.send("PUT", `/v1/services/${name}`, { image: "golang-docker" })).status, 201);
    }
    await rig.open();
    await page.getByRole("link", { name: "What if" }).click();
    await page.getByRole("button", { name: "Apply to 0 services" }).waitFor();
    await page.getByLabel("Stop after").selectOption("45m");
    const all = page.getByRole("button", { name: "Apply to 2 services" });
    await all.waitFor();
    await page.getByLabel("Change blog").uncheck();
    await page.getByRole("button", { name: "Apply to 1 service", exact: true }).waitFor();
    await page.getByLabel("Change blog").check();
    await all.click();
    await page.getByRole("status").getByText("2 services changed").waitFor();
    assertEquals(await stops(rig), ["45m", "45m"]);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("status").getByText("undone; 2 services changed").waitFor();
    assertEquals(await stops(rig), [undefined, undefined]);
    await page.getByRole("button", { name: "Apply to web" }).click();
    await page.getByRole("status").getByText("1 service changed").waitFor();
    assertEquals(await stops(rig), [undefined, "45m"]);
  },
);

dashboardTest("nothing keeps anybody from what other idle times bring for 43 services", {
  prepare: (dataDir) => paintScenery(dataDir, { now: Date.now() }),
}, async (rig) => {
  const { page } = rig;
  await rig.open({ hash: "#/what-if" });
  await page.getByLabel("Stop after").selectOption("5m");
  await page.getByText(/→/).first().waitFor();
  await assertUsable(page);
});

dashboardTest(
  "a token that can only look may try other idle times, and gets nothing to apply them with",
  {},
  async (rig) => {
    const { page, program } = rig;
    assertEquals((await program.send("PUT", "/v1/services/web", { image: "golang-docker" })).status, 201);
    await rig.open({ token: await rig.newToken("tv", "read"), hash: "#/what-if" });
    await page.getByLabel("Stop after").selectOption("45m");
    await page.getByRole("link", { name: "web" }).waitFor();
    assertEquals(await page.getByRole("checkbox").count(), 0);
    assertEquals(await page.getByRole("button", { name: "Apply" }).count(), 0);
  },
);
