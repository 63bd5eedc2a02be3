import { dashboardTest } from "../../support/dashboard.ts";

for (const file of ["timeline.js", "lib/preact.js", "app.css"]) {
  dashboardTest(
    `a page of which ${file} was broken off loads itself again`,
    { expected: /ERR_FAILED/ },
    async (rig) => {
      const { page } = rig;
      const again = Promise.withResolvers<void>();
      let times = 0;
      await page.route(`**/ui/${file}`, (route) => {
        if (++times === 1) return route.abort();
        again.resolve();
        return route.continue();
      });
      await rig.goto(rig.url);
      await again.promise;
      await page.getByLabel("Token").waitFor();
    },
  );
}
