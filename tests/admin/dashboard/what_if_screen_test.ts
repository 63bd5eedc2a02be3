/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import { assertUsable, type DashboardRig, dashboardTest } from "../../support/dashboard.ts";
import { paintScenery } from "../../support/scenery.ts";

/** They have estimates that change, and can be deployed. */
const NAMES = ["blog", "wiki"];

/** 43 services as they are after a day of use. */
const SCENERY = { prepare: (dataDir: string) => paintScenery(dataDir, { now: Date.now() }) };

/** The times to stop after that the services' latest revisions have. */
async function stops({ program }: DashboardRig): Promise<(string | undefined)[]> {
  return await Promise.all(NAMES.map(async (name) => {
    const { json: { latestRevision } } = await program.send("GET", `/v1/services/${name}`);
    return (await program.send("GET", `/v1/services/${name}/revisions/${latestRevision}`)).json.template.stopAfter;
  }));
}

/** The services of the table, in its order. */
async function order({ page }: DashboardRig): Promise<string[]> {
  return await page.locator("tbody th a").allTextContents();
}

dashboardTest(
  "other idle times are tried for all services at once, applied to those that are chosen, and undone",
  SCENERY,
  async (rig) => {
    const { page } = rig;
    await rig.open();
    await page.getByRole("link", { name: "What if" }).click();
    const all = page.getByRole("button", { name: /^Apply to \d+ services?$/ });
    await all.waitFor();
    assertEquals([await all.textContent(), await all.isDisabled()], ["Apply to 0 services", true]);
    assertEquals(await page.getByRole("button", { name: "Apply to blog" }).isDisabled(), true);
    await page.getByLabel("Stop after").selectOption("1m");
    await page.getByText("→").first().waitFor();
    assertEquals([await all.isDisabled(), await page.getByRole("checkbox", { checked: true }).count()], [true, 0]);
    for (const name of NAMES) await page.getByLabel(`Choose ${name}`).check();
    await page.getByRole("button", { name: "Apply to 2 services" }).click();
    for (const name of NAMES) {
      await page.getByRole("status").getByText(new RegExp(`${name}: stop after [^;]* → 1 min`)).waitFor();
    }
    assertEquals(await stops(rig), ["1m", "1m"]);
    await page.getByRole("button", { name: "Undo" }).click();
    for (const name of NAMES) {
      await page.getByRole("status").getByText(new RegExp(`^undone; .*${name}: stop after 1 min → `)).waitFor();
    }
    assertEquals(await stops(rig), [undefined, undefined]);
  },
);

dashboardTest(
  "services keep their places when one is changed, so that no other button comes under the pointer",
  SCENERY,
  async (rig) => {
    const { page } = rig;
    await rig.open({ hash: "#/what-if?stopAfter=1m" });
    const button = page.getByRole("button", { name: "Apply to blog" });
    await button.waitFor();
    const before = await order(rig);
    const reloaded = page.waitForResponse(/\/wiki\/what-if/);
    await button.click();
    await reloaded;
    await page.getByRole("status").getByText(/^blog: stop after .* → 1 min$/).waitFor();
    await page.getByRole("row", { name: "blog" }).getByText("1 min").waitFor();
    assertEquals(await order(rig), before);
    assertEquals(await button.isDisabled(), true);
  },
);

dashboardTest(
  "for a goal of cold starts a day, each service gets the shortest time to stop after, with what it saves",
  SCENERY,
  async (rig) => {
    const { page, program } = rig;
    await rig.open({ hash: "#/what-if" });
    await page.getByLabel(/^At most/).fill("5");
    await page.keyboard.press("Enter");
    const row = page.getByRole("row", { name: "blog" });
    await row.getByText("→").first().waitFor();
    const { json: { then } } = await program.send("GET", "/v1/services/blog/what-if?maxColdStarts=5");
    assert(then.coldStartsPerDay <= 5);
    await row.getByText(/[−+][\d.]+%/).first().waitFor();
    await page.getByRole("row", { name: "demo-rust" }).getByText("too little is recorded").waitFor();
    await page.getByRole("button", { name: "Apply to blog" }).click();
    await page.getByRole("status").getByText(/^blog: stop after .* → \d+ \w+$/).waitFor();
    assertEquals((await stops(rig))[0], then.stopAfter);
  },
);

dashboardTest(
  "what is tried and chosen is still there after a look at a service, by Back and by the link of the screen",
  SCENERY,
  async (rig) => {
    const { page } = rig;
    await rig.open({ hash: "#/what-if" });
    await page.getByLabel("Stop after").selectOption("1m");
    await page.getByLabel("Choose wiki").check();
    const isKept = async () => {
      await page.getByRole("button", { name: "Apply to 1 service", exact: true }).waitFor();
      assertEquals(await page.getByLabel("Stop after").inputValue(), "1m");
      assertEquals(await page.getByLabel("Choose wiki").isChecked(), true);
    };
    await isKept();
    await page.getByRole("link", { name: "wiki" }).click();
    await page.getByRole("heading", { name: "wiki" }).waitFor();
    await page.goBack();
    await isKept();
    await page.getByRole("link", { name: "wiki" }).click();
    await page.getByRole("heading", { name: "wiki" }).waitFor();
    await page.getByLabel("Main").getByRole("link", { name: "What if" }).click();
    await isKept();
  },
);

dashboardTest("nothing keeps anybody from what other idle times bring for 43 services", SCENERY, async (rig) => {
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
