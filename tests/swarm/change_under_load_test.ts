import { assert, assertEquals } from "@std/assert";
import { LIVE_APP } from "../e2e/live_app.ts";
import { build } from "../support/docker.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import { SteadyLoad } from "./steady_load.ts";

const ignore = noNodes;
const IMAGE = "swarm-live-docker";
const PER_SECOND = 300;

Deno.test(
  {
    name: "changes under load over two cless: no request fails, whatever is deployed, split, rolled back or upgraded",
    ignore,
  },
  async () => {
    // Where all tests have to be done in time, once through all changes has to do.
    const leastRequests = Deno.env.has("CI") ? 1000 : 10_000;
    await using _image = await build(IMAGE, LIVE_APP);
    await using cluster = await Cluster.start({ count: 2, images: [IMAGE] });
    const ok = async (by: number, method: string, path: string, body?: unknown) => {
      const { status, text } = await cluster.cless(by).send(method, `/v1/services/live${path}`, body);
      assert(status === 200 || status === 201, `${method} ${path}: ${status} ${text}`);
    };
    const deploy = (by: number, greeting: string, more = {}) =>
      ok(by, "PUT", "", { image: IMAGE, env: { GREETING: greeting }, minInstances: 1, maxInstances: 2, ...more });

    await deploy(1, "one");
    for (const number of [1, 2]) await until(async () => (await cluster.cless(number).get("live")).text === "one");
    await using load = new SteadyLoad(cluster.nodes.all.map(({ address }) => address), "live", PER_SECOND);
    /** Resolves when each cless has given an answer some times more. */
    const meets = async (answer: string) => {
      for (const { address } of cluster.nodes.all) {
        const wanted = load.count(address, answer) + 20;
        await until(() => load.count(address, answer) >= wanted);
      }
    };
    /** One revision after the other, by either cless; then another process takes the place of each. */
    const changeAll = async () => {
      await deploy(1, "one");
      await meets("one");
      const { latestRevision } = await cluster.cless(1).api("/v1/services/live");
      await deploy(2, "two");
      await meets("two");
      await ok(2, "PUT", "/traffic", [{ revision: latestRevision, percent: 50 }, { revision: "latest", percent: 50 }]);
      await meets("one");
      await meets("two");
      await ok(1, "POST", "/rollback");
      await meets("two");
      for (const number of [2, 1]) {
        await cluster.upgradeCless(number);
        await deploy(3 - number, `after the upgrade of ${number}`);
        await meets(`after the upgrade of ${number}`);
      }
    };
    do await changeAll(); while (load.outcomes.length < leastRequests);
    await load.stop();
    assertEquals(load.failed, []);
    console.log(`changes under load over two cless: ${load.outcomes.length} requests, ${load.failed.length} failed`);
  },
);
