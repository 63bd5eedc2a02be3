import { assert, assertEquals } from "@std/assert";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { NodeProgram } from "./node_program.ts";

const ignore = noNodes;
const IMAGE = "golang-docker";

/** What all nodes must agree about of a service. */
async function seenBy(program: NodeProgram, name: string): Promise<string> {
  const ask = async (path: string) => (await program.send("GET", `/v1/services/${name}${path}`)).json;
  const [{ domains, etag, latestRevision, traffic }, revisions, history] = await Promise.all(
    ["", "/revisions", "/history"].map(ask),
  );
  const names = revisions.map(({ imageId, name }: { imageId: string; name: string }) => [name, imageId]);
  return JSON.stringify([domains, etag, latestRevision, traffic, names, history]);
}

/** Waits until two cless say the same of services. */
async function untilSame(one: NodeProgram, other: NodeProgram, ...services: string[]): Promise<void> {
  for (const service of services) await until(async () => await seenBy(one, service) === await seenBy(other, service));
}

Deno.test(
  { name: "what is changed at two cless at once is as if it had been changed one after the other", ignore },
  async () => {
    await using cluster = await Cluster.start({ count: 2 });
    const [one, two] = [cluster.cless(1), cluster.cless(2)];
    const both = <T>(change: (program: NodeProgram, number: number) => Promise<T>) =>
      Promise.all([one, two].map((program, index) => change(program, index + 1)));
    const deploy = (program: NodeProgram, name: string, body: Record<string, unknown> = {}) =>
      program.send("PUT", `/v1/services/${name}`, { image: IMAGE, ...body });

    // A new service, and then revisions of it, are deployed at both.
    const made = await both((program, number) => deploy(program, "app", { env: { BY: `${number}` } }));
    assertEquals(made.map(({ status }) => status).sort(), [200, 201], made.map(({ text }) => text).join());
    for (let round = 0; round < 3; round++) {
      const deployed = await both((program, number) => deploy(program, "app", { env: { BY: `${number} ${round}` } }));
      assertEquals(deployed.map(({ status }) => status), [200, 200], deployed.map(({ text }) => text).join());
    }
    await untilSame(one, two, "app");
    assertEquals((await one.api("/v1/services/app/revisions")).length, 8);
    for (const program of [one, two]) assertEquals((await program.get("app")).status, 200);

    // One domain goes to one of two services, one name to one of two tokens.
    const domain = { domains: ["www.example.org"] };
    const claimed = await both((program, number) => deploy(program, `shop${number}`, domain));
    assertEquals(claimed.map(({ status }) => status).sort(), [201, 409], claimed.map(({ text }) => text).join());
    const issued = await both((program) => program.send("POST", "/v1/tokens", { name: "ci", scope: "read" }));
    assertEquals(issued.map(({ status }) => status).sort(), [201, 409]);

    // What was set at one is used at the other at once.
    assertEquals(
      (await one.send("PUT", "/v1/services/app/traffic", [{ revision: "latest", percent: 100 }])).status,
      200,
    );
    await untilSame(one, two, "app");
    const deleted = await both((program) => program.send("DELETE", "/v1/services/app"));
    assertEquals(deleted.map(({ status }) => status).sort(), [204, 404]);
    await until(async () => (await one.send("GET", "/v1/services/app")).status === 404);
    await until(async () => (await two.send("GET", "/v1/services/app")).status === 404);

    // A cless is killed while changes are made by it: those that it has acknowledged stay, on all nodes.
    const acknowledged: string[] = [];
    const burst = async () => {
      for (let number = 0;; number++) {
        const { status } = await two.send("PUT", "/v1/services/burst?wait=false", {
          image: IMAGE,
          env: { N: `${number}` },
        });
        if (status === 200 || status === 201) acknowledged.push(`${number}`);
      }
    };
    const ended = burst().catch(() => {}); // the connection breaks
    await until(() => acknowledged.length >= 5);
    await two.end("SIGKILL");
    await ended;
    // The change in flight may have been stored.
    const [{ name }] = await one.api("/v1/services/burst/revisions");
    const last = Number((await one.api(`/v1/services/burst/revisions/${name}`)).template.env.N);
    assert(last === Number(acknowledged.at(-1)) || last === Number(acknowledged.at(-1)) + 1, `${last} ${acknowledged}`);
  },
);
