import { dashboardTest } from "../../support/dashboard.ts";

for (const file of ["model/timeline.js", "lib/preact.js", "styles/parts.css"]) {
  dashboardTest(
    `a page of which ${file} was broken off loads itself again`,
    { expected: /ERR_FAILED/ },
    async (rig) => {
      const { page } = rig;
      let times = 0;
      await page.route(`**/ui/${file}`, (route) => ++times === 1 ? route.abort() : route.continue());
      const again = page.waitForEvent("requestfinished", (request) => request.url().endsWith(`/ui/${file}`));
      await rig.goto(rig.url);
      await again;
      await page.getByLabel("Token").waitFor();
    },
  );
}
