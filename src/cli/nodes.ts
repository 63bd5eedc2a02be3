import type { NodeJson } from "../admin/operations/nodes.ts";
import { flag } from "./flags.ts";
import { sizeText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson, printList } from "./verb.ts";

/** `cless nodes`: lists the machines of the Swarm, or prints what another one needs to join. */
export const nodes = clientVerb({
  name: "nodes",
  summary: "List the machines of the Swarm, and the cless on each",
  flags: [
    flag("--join-token", "Print what another machine needs for cless join; whoever has it has everything"),
    JSON_FLAG,
    NAMES_FLAG,
  ],
  notes: [
    "A node whose STATE is down is not heard by the managers; paused and drained ones get no new instances. CLESS is the version of the cless that runs there. MEMORY is what the instances there use, and what the machine has.",
    "The token to join has the key of the secrets and the tokens of the admin API and of the Swarm. Send it only to your own machines, and over SSH.",
  ],
  example: ["cless nodes", "cless nodes --join-token", "cless nodes --join-token | ssh other sudo cless join -"],
  run: async (call) => {
    if (call.on("join-token")) {
      const joinToken = await call.client.get<{ token: string }>("/v1/nodes/join-token");
      if (call.on("json")) printJson(joinToken);
      else console.log(joinToken.token);
      return;
    }
    const all = await call.client.list<NodeJson>("/v1/nodes");
    const rows = all.map((node) => [
      ...[node.name, node.address, node.leader ? "leader" : node.role, stateOf(node), node.cless?.version ?? "-"],
      ...[node.cless?.instances?.toString() ?? "-", memoryOf(node)],
    ]);
    printList(call, all, table(["NAME", "ADDRESS", "ROLE", "STATE", "CLESS", "INSTANCES", "MEMORY"], rows));
  },
});

const STATES = { active: "ready", pause: "paused", drain: "drained" } as const;

function stateOf({ availability, state }: NodeJson): string {
  return state === "down" ? state : STATES[availability];
}

function memoryOf({ cless, memoryBytes }: NodeJson): string {
  const used = cless?.memoryBytes === undefined ? "-" : sizeText(cless.memoryBytes);
  return `${used} of ${sizeText(memoryBytes)}`;
}
