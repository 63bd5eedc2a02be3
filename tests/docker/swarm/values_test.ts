import { assert, assertEquals } from "@std/assert";
import { messageOf } from "../../../src/base/errors.ts";
import { noRun } from "../../support/permissions.ts";
import { OWNER } from "../../support/sharing_cless.ts";
import { SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

const ID = `cless-${OWNER}-${SHARED.name}-s0`;
const VALUE = 'open "sesame"\nnow';
const REVISION = { ...SHARED, env: { PASSWORD: VALUE } };

Deno.test(
  { name: "the value of a variable is in nothing of a service but its environment", ignore: noRun },
  async () => {
    await using cluster = await SwarmCluster.start(1);
    await cluster.clock.until(cluster.all[0]!.engine.launcher.launch({ id: ID, revision: REVISION }));
    // deno-lint-ignore no-explicit-any -- what it has is what is tested
    const body: any = structuredClone(cluster.swarm.body(ID));
    const { ContainerSpec } = body.TaskTemplate;
    assert(ContainerSpec.Env.includes(`PASSWORD=${VALUE}`));
    delete ContainerSpec.Env;
    assert(!JSON.stringify(body).includes("sesame"));
  },
);

Deno.test({ name: "an error of Swarm that repeats a value is told without it", ignore: noRun }, async () => {
  await using cluster = await SwarmCluster.start(1);
  const { clock, swarm } = cluster;
  swarm.refusal = { state: "rejected", error: `invalid environment: PASSWORD=${JSON.stringify(VALUE)}` };
  const launched = clock.until(cluster.all[0]!.engine.launcher.launch({ id: ID, revision: REVISION }));
  const said = messageOf(await launched.then(() => undefined, (error) => error));
  assertEquals(said, 'Swarm cannot start it: invalid environment: PASSWORD="***"');
});
