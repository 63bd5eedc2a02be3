import { assertEquals } from "@std/assert";
import { PEER_PORT } from "../../src/base/config.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";

Deno.test(
  { name: "a worker whose manager is cut off follows what others change, by another manager", ignore: noNodes },
  async () => {
    await using cluster = await Cluster.start({ count: 4, managers: 3 });
    // It follows the first one named that answers.
    await cluster.cless(4).end();
    const managers = [2, 3].flatMap((number) => ["--manager", `${cluster.node(number).address}:${PEER_PORT}`]);
    await cluster.restartCless(4, ["--engine", "swarm", ...managers]);
    /** Gives a service a domain, which starts nothing. */
    const change = async (domain: string, status: number) => {
      const body = { image: "golang-docker", domains: [domain] };
      const answer = await cluster.cless(1).send("PUT", "/v1/services/app", body);
      assertEquals(answer.status, status, answer.text);
    };
    const domains = async () => (await cluster.cless(4).send("GET", "/v1/services/app")).json.domains?.join();
    await change("before.example.org", 201);
    await until(async () => await domains() === "before.example.org");
    await cluster.node(2).partition();
    await change("after.example.org", 200);
    await until(async () => await domains() === "after.example.org");
  },
);
