import { z } from "zod";
import { Conflict } from "../../control/deploy_error.ts";
import type { Cluster, ClusterNode } from "../../control/cluster.ts";
import { check, strict } from "../../control/schema/check.ts";
import { json, readJson } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { tagged } from "../operation.ts";

const operation = tagged("nodes");
const memory = z.int().min(0);

const nodeView = z.strictObject({
  name: z.string().meta({ description: "Its hostname" }),
  id: z.string().meta({ description: "The Swarm's id of it" }),
  address: z.string().meta({ description: "Where the other nodes reach it" }),
  role: z.enum(["manager", "worker"]),
  leader: z.boolean().meta({ description: "Whether it leads the managers" }),
  state: z.enum(["ready", "down"]).meta({ description: "Whether the managers hear from it" }),
  availability: z.enum(["active", "pause", "drain"]).meta({
    description: "active gets instances, pause keeps those that it has, drain loses them",
  }),
  labels: z.record(z.string(), z.string()).meta({ description: "Those that placement can name" }),
  engine: z.string().meta({ description: "The version of its Docker engine" }),
  cpus: z.number().min(0),
  memoryBytes: memory.meta({ description: "All that the machine has" }),
  cless: z.strictObject({
    version: z.string(),
    address: z.string().meta({ description: "Where it listens for the others" }),
    instances: z.int().min(0).optional().meta({
      description: "How many instances are on the node; missing if it does not answer",
    }),
    memoryBytes: memory.optional().meta({
      description: "How much memory they use together; missing if it does not answer",
    }),
  }).optional().meta({ description: "The cless that runs there; missing if none does" }),
}).meta({
  id: "Node",
  examples: [{
    ...{ name: "one", id: "4qm0sa1hnk3xkcg4kj9s9xyzq", address: "10.0.0.1", role: "manager", leader: true },
    ...{ state: "ready", availability: "active", labels: {}, engine: "26.1.5", cpus: 2, memoryBytes: 8589934592 },
    cless: { version: "0.1.0", address: "10.0.0.1:1324", instances: 3, memoryBytes: 25165824 },
  }],
});

const imageBody = strict({
  image: z.string().min(1).max(500).meta({
    description: "The name of an image of this machine",
    examples: ["golang-docker"],
  }),
  node: z.string().min(1).max(253).optional().meta({
    description: "The hostname of the only machine that is to get it",
  }),
}).meta({ id: "ImageBody" });

const sentView = z.strictObject({
  node: z.string().meta({ description: "Its hostname" }),
  sent: z.boolean().meta({ description: "Whether it was missing there; false if it was there, or is not" }),
  failure: z.string().optional().meta({ description: "Why it is not there; missing if it is" }),
}).meta({ id: "SentImage" });

/** What became of an image that was sent to a node, in JSON. */
export type SentImageJson = z.output<typeof sentView>;

/** A node in JSON. */
export type NodeJson = z.output<typeof nodeView>;

/** The machines of a Swarm. */
export function nodeOperations({ cluster }: Collaborators) {
  return [
    operation({
      id: "listNodes",
      route: "GET /v1/nodes",
      scope: "read",
      summary: "List the machines of the Swarm, and the cless on each, by name",
      answers: { 200: { description: "All nodes", schema: z.array(nodeView) } },
      errors: ["conflict", "store_unavailable"],
      run: async () => json((await known(cluster).nodes()).map(showNode)),
    }),
    operation({
      id: "getJoinToken",
      route: "GET /v1/nodes/join-token",
      scope: "admin",
      summary: "Get what another machine needs to join",
      description:
        "It has the key of the secrets and the tokens of the admin API and of the Swarm: whoever has it has everything.",
      answers: {
        200: {
          description: "The token, for `cless join`",
          schema: z.strictObject({ token: z.string() }).meta({ id: "JoinToken" }),
        },
      },
      errors: ["conflict", "store_unavailable"],
      run: async () => json({ token: await known(cluster).joinToken() }),
    }),
    operation({
      id: "sendImage",
      route: "POST /v1/nodes/images",
      scope: "deploy",
      summary: "Send an image of this machine to the others on which cless runs",
      description: "For images that no registry has. The answer comes when all are done.",
      body: { schema: imageBody, example: { image: "golang-docker" } },
      answers: { 200: { description: "What became of it on each of them", schema: z.array(sentView) } },
      errors: ["not_found", "conflict", "image_unavailable", "unsupported_type", "store_unavailable"],
      run: async ({ request }) => {
        const { image, node } = check(imageBody, await readJson(request));
        const sent: z.input<typeof sentView>[] = [...await known(cluster).sendImage(image, node)];
        return json(sent);
      },
    }),
  ];
}

/** @throws {Conflict} If cless uses the engine of one machine. */
function known(cluster: Cluster | undefined): Cluster {
  if (cluster !== undefined) return cluster;
  throw new Conflict("this cless runs services on one machine; start it with --engine swarm for several");
}

function showNode({ cless, engineVersion: engine, isLeader: leader, isReady, ...node }: ClusterNode) {
  const shown: z.input<typeof nodeView> = { ...node, leader, state: isReady ? "ready" : "down", engine, cless };
  return shown;
}
