/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { assertUsable, dashboardTest } from "../../support/dashboard.ts";
import { Program } from "../../support/program.ts";
import { Relay } from "../../support/relay.ts";

/** What the browser reports of what the page was loading when it signed out. */
const REFUSED = /^Failed to load resource: .* 401 /;

dashboardTest(
  "a person signs in with the token and Enter, stays signed in, and signs out",
  { expected: REFUSED },
  async (rig) => {
    const { page } = rig;
    await rig.open();
    await rig.reload();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    const other = await page.context().newPage();
    await other.goto(rig.url);
    await other.getByRole("button", { name: "Sign out" }).waitFor();

    const [cookie] = await page.context().cookies();
    assertEquals([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assertEquals(await page.context().cookies(), []);
    // Who has kept the cookie has nothing.
    await page.context().addCookies([cookie!]);
    await rig.reload();
    await page.getByLabel("Token").waitFor();
  },
);

dashboardTest("a restart of cless signs nobody out, and who has signed out before stays out", {
  expected: REFUSED,
}, async (rig) => {
  const { page, program } = rig;
  using relay = new Relay(program.admin.port);
  await rig.open({ port: relay.port });
  const [cookie] = await page.context().cookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  await rig.open({ port: relay.port });
  await page.goto("about:blank");
  await program.end();
  const next = await Program.start({ dataDir: program.dataDir, logLevel: "info" });
  try {
    relay.turn(next.admin.port);
    await rig.goto(`http://admin.localhost:${relay.port}/`);
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await page.context().addCookies([cookie!]);
    await rig.reload();
    await page.getByLabel("Token").waitFor();
    await page.goto("about:blank");
  } finally {
    await next.end();
  }
});

dashboardTest("an update of cless signs nobody out, and the page that is open goes on", {
  flags: ["--drain-timeout", "1s"],
  expected: /^Failed to load resource: net::ERR_/,
}, async (rig) => {
  const { page, program } = rig;
  await rig.open();
  const next = await Program.start({ dataDir: program.dataDir, flags: ["--take-over"], logLevel: "info" });
  try {
    assertEquals([await program.exit(), next.admin.port], [0, program.admin.port]);
    assertEquals((await next.get("golang")).status, 200);
    await page.getByRole("link", { name: "golang" }).waitFor();
    await rig.reload();
    await page.getByRole("link", { name: "golang" }).waitFor();
    await page.goto("about:blank");
  } finally {
    await next.end();
  }
});

dashboardTest("a wrong token is told as such, and can be corrected at once", { expected: REFUSED }, async (rig) => {
  const { page } = rig;
  await rig.goto(rig.url);
  const field = page.getByLabel("Token");
  assertEquals(await field.getAttribute("type"), "password");
  await field.fill("cless_wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "This token is not valid" }).waitFor();
  assertEquals(await page.context().cookies(), []);
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type(await rig.token());
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor();
});

dashboardTest("a page does not outlive its token", { expected: REFUSED }, async (rig) => {
  const { page, program } = rig;
  await rig.open({ token: await rig.newToken("tv", "read") });
  await program.send("DELETE", "/v1/tokens/tv");
  await rig.reload();
  await page.getByLabel("Token").waitFor();
});

dashboardTest("nothing keeps anybody from signing in", { expected: REFUSED }, async (rig) => {
  const { page } = rig;
  await rig.goto(rig.url);
  await page.getByLabel("Token").waitFor();
  await assertUsable(page);
  await page.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
  await assertUsable(page);
});

dashboardTest("the browser keeps the page from scripts and styles that are not cless's own", {
  expected: /Content Security Policy/,
}, async (rig) => {
  const { page } = rig;
  await rig.goto(rig.url);
  await page.getByLabel("Token").waitFor();
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.ran = true";
    document.head.append(script);
    const image = document.createElement("img");
    image.setAttribute("onerror", "globalThis.ran = true");
    image.src = "data:,";
    document.body.append(image);
    const sent = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
    return sent || "ran" in globalThis;
  });
  assertEquals(ran, false);
});
