import { checkPool } from "../support/pool_model.ts";

Deno.test("in whatever order things happen, no request fails, is forgotten or overtakes by the pool's own doing", async () => {
  await checkPool({ cases: 2_000, seed: 20261125 });
});
