/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import { barriers } from "../../support/chromium.ts";
import { assertUsable, dashboardTest } from "../../support/dashboard.ts";
import { build } from "../../support/docker.ts";

/** An app that tells what is wrong, and ends. */
const BROKEN = `FROM nodejs-docker
ENTRYPOINT ["node", "-e", "console.error('panic: no DATABASE_URL'); process.exit(3)"]`;
const REFUSED = /^Failed to load resource: .* (?:400|404|422) /;

dashboardTest("a service is deployed by the form alone, and its address works", { expected: REFUSED }, async (rig) => {
  const { page, program } = rig;
  await rig.open();
  await page.getByRole("link", { name: "Deploy", exact: true }).click();
  await page.getByLabel("Name", { exact: true }).fill("web");
  await page.getByLabel("Image").fill("golang-docker");
  await page.getByLabel("Variables to set").fill("GREETING=Good morning");
  await page.getByLabel("Tag").fill("first");
  await page.keyboard.press("Enter");
  const outcome = page.getByRole("region", { name: "Outcome" });
  await outcome.getByRole("heading", { name: "web-00001 is deployed" }).waitFor();
  await outcome.getByRole("link", { name: "first--web.localhost" }).waitFor();
  assert((await program.get("web")).text.startsWith("Good morning from "));
  await outcome.getByRole("link", { name: "Show web" }).click();
  await page.getByRole("heading", { name: "web", level: 1 }).waitFor();
});

dashboardTest("the form for a new service says that there is such a service, and keeps its settings", {
  expected: REFUSED,
}, async (rig) => {
  const { page, program } = rig;
  const before = { image: "golang-docker", env: { GREETING: "Hello" }, memory: "64m", maxInstances: 3 };
  assertEquals((await program.send("PUT", "/v1/services/web", before)).status, 201);
  await rig.open({ hash: "#/deploy" });
  await page.getByLabel("Name", { exact: true }).fill("web");
  await page.getByLabel("Image").fill("golang-docker");
  await page.getByLabel("Variables to set").fill("LEVEL=info");
  await page.getByLabel("Name", { exact: true }).press("Enter");
  await page.getByText("There is a service web").waitFor();
  assertEquals(await page.getByLabel("Memory").inputValue(), "64m");
  assertEquals(await barriers(page), []);
  await page.getByRole("button", { name: "Deploy a new revision of web" }).click();
  await page.getByRole("heading", { name: "web-00002 is deployed" }).waitFor();
  const { json } = await program.send("GET", "/v1/services/web/revisions/web-00002");
  const { env, maxInstances, memory } = json.template;
  assertEquals([env, maxInstances, memory], [{ GREETING: "Hello", LEVEL: "info" }, 3, "64m"]);
});

dashboardTest("mistakes are told at their fields, all at once, and the first one gets the focus", {
  expected: REFUSED,
}, async (rig) => {
  const { page, program } = rig;
  await rig.open({ hash: "#/deploy" });
  await page.getByLabel("Name", { exact: true }).fill("web");
  await page.getByLabel("Image").fill("golang-docker");
  await page.getByLabel("Port").fill("70000");
  await page.getByLabel("Memory").fill("much");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  for (const label of ["Port", "Memory"]) {
    await page.locator(`[aria-invalid=true]`).and(page.getByLabel(label)).waitFor();
  }
  assertEquals(await page.evaluate(() => document.activeElement?.id), "field-port");
  assertEquals(await barriers(page), []);
  assertEquals(await program.api("/v1/services"), []);
  // What the form itself finds is told together with what the API finds.
  await page.getByLabel("Variables to set").fill("broken");
  await page.getByLabel("Memory").fill("more");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByText("line 1: expected KEY=VALUE").waitFor();
  for (const label of ["Port", "Memory"]) {
    await page.locator(`[aria-invalid=true]`).and(page.getByLabel(label)).waitFor();
  }
  await page.getByLabel("Variables to set").fill("");
  await page.getByLabel("Port").fill("8080");
  await page.getByLabel("Memory").fill("64m");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("heading", { name: "web-00001 is deployed" }).waitFor();
});

dashboardTest("a deploy that fails says why and what its app wrote, and leaves the traffic as it was", {
  expected: REFUSED,
}, async (rig) => {
  const { page, program } = rig;
  await using _image = await build("broken-app", BROKEN);
  const { status } = await program.send("PUT", "/v1/services/web", { image: "golang-docker" });
  assertEquals(status, 201);
  await rig.open({ hash: "#/deploy/web" });
  assertEquals(await page.getByLabel("Image").inputValue(), "golang-docker");
  await page.getByLabel("Image").fill("broken-app");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  const alert = page.getByRole("alert");
  await alert.getByText(/code 3/).waitFor();
  await alert.getByText("panic: no DATABASE_URL").waitFor();
  await page.getByRole("heading", { name: "Not deployed" }).waitFor();
  assertEquals(await barriers(page), []);
  assertEquals((await program.get("web")).status, 200);
  const { json } = await program.send("GET", "/v1/services/web");
  assertEquals([json.latestRevision, json.traffic], ["web-00001", [{ revision: "latest", percent: 100 }]]);
  // It is kept, with its output.
  await page.evaluate(() => location.hash = "#/services/web/history");
  await page.getByRole("region", { name: "Last deploy" }).getByText("panic: no DATABASE_URL").waitFor();
  await page.evaluate(() => location.hash = "#/");
  await page.getByRole("region", { name: "Needs attention" }).getByText("deploy failed").waitFor();
});

dashboardTest("a first deploy that fails can be looked at, and tried again", { expected: REFUSED }, async (rig) => {
  const { page, program } = rig;
  await using _image = await build("broken-app", BROKEN);
  assertEquals((await program.send("PUT", "/v1/services/web", { image: "broken-app" })).status, 422);
  await rig.open({ hash: "#/services/web" });
  await page.getByText("never worked").waitFor();
  await page.getByText("panic: no DATABASE_URL").waitFor();
  await page.getByRole("link", { name: "Deploy it again" }).click();
  await page.getByRole("heading", { name: "Deploy web" }).waitFor();
  await page.evaluate(() => location.hash = "#/services/web");
  await page.getByRole("button", { name: "Delete web" }).click();
  await page.getByRole("status").getByText("web is deleted").waitFor();
  assertEquals((await program.send("GET", "/v1/services/web/deploys")).status, 404);
});

dashboardTest("a token that can only look cannot deploy, and is told so", {}, async (rig) => {
  const { page } = rig;
  await rig.open({ token: await rig.newToken("tv", "read"), hash: "#/deploy" });
  await page.getByText("Your token can only look").waitFor();
  assertEquals(await page.getByRole("textbox").count(), 0);
});

dashboardTest("nothing keeps anybody from deploying", {}, async (rig) => {
  await rig.open({ hash: "#/deploy" });
  await rig.page.getByLabel("Image").waitFor();
  await assertUsable(rig.page);
});
