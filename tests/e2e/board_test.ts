import { assert, assertEquals } from "@std/assert";
import { filledIn, readBoard } from "../support/board.ts";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { hasPrometheus, Prometheus } from "../support/prometheus.ts";
import { until } from "../support/until.ts";

/** What Grafana would fill in; a second is between two readings. */
const VALUES = { __rate_interval: "10s", instance: ".*", service: "watched" };

/** An app that ends itself on request, and one that does not start. */
const SCRIPT = `
if (process.env.BROKEN) process.exit(3);
require("node:http").createServer(({ url }, response) => {
  if (url === "/exit") process.exit(4);
  response.statusCode = url === "/fails" ? 500 : 200;
  response.end();
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;

/** Lets something happen of all that the board shows: a start, a wake, a restart, and failures. */
async function live(program: Program): Promise<void> {
  const status = async (label: string, path = "/") => (await program.get(label, path)).status;
  const broken = { image: "watched-docker", env: { BROKEN: "1" } };
  await program.send("PUT", "/v1/services/broken?wait=false", broken);
  assertEquals([await status("broken"), await status("e2e-none")], [502, 404]);
  assertEquals([await status("watched"), await status("watched", "/fails")], [200, 500]);
  const [container] = await program.containers("watched");
  await docker("pause", container!);
  await until(async () => (await program.api("/v1/instances")).some(({ state }) => state === "paused"));
  assertEquals(await status("watched"), 200);
  await status("watched", "/exit");
  assertEquals(await status("watched"), 200);
}

Deno.test(
  {
    name: "each query of the Grafana board is understood by Prometheus, and yields series for a cless with traffic",
    ignore: noDocker || !hasPrometheus,
  },
  async () => {
    const { panels, templating } = await readBoard();
    await using _app = await build("watched-docker", APP);
    await using program = await Program.start();
    const { hostname, port } = program.admin;
    await live(program);
    await using prometheus = await Prometheus.start(`${hostname}:${port}`, `${program.dataDir}/admin-token`);
    const readings = 'count_over_time(cless_requests_total{service="watched",code="200"}[1h])';
    // A rate needs at least two readings of a series.
    await until(async () => {
      await program.get("watched");
      return Number((await prometheus.query(readings))[0]?.value[1]) >= 3;
    });
    for (const { name, definition } of templating.list.filter(({ type }) => type === "query")) {
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(definition!)!;
      const found = await prometheus.labelValues(label!, filledIn(selector!, VALUES));
      assert(found.length > 0, name);
      if (name === "service") assertEquals(found.sort(), ["broken", "watched"]);
    }
    const empty: string[] = [];
    for (const { title, targets = [] } of panels) {
      for (const { expr, refId } of targets) {
        const samples = await prometheus.query(filledIn(expr, VALUES));
        if (samples.length === 0) empty.push(`${title} ${refId}: ${expr}`);
      }
    }
    assertEquals(empty, []);
  },
);
