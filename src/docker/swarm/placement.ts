import type { NodeRules } from "../../model/node_rules.ts";
import type { SwarmNode } from "./swarm_api.ts";

/** The part of a service's specification that says where its task may run. */
export interface SwarmPlacement {
  readonly Constraints?: readonly string[];
  readonly Preferences?: readonly { readonly Spread: { readonly SpreadDescriptor: string } }[];
}

/** Ids of nodes, as Swarm makes them. */
const NODE_ID = /^[a-z0-9]{25}$/;

/**
 * Words rules for Swarm's scheduler, which picks the node with the fewest tasks among those that fulfil all
 * constraints: https://docs.docker.com/reference/cli/docker/service/create/#constraint
 *
 * @param bound The id of the one node that has what the instance needs; `undefined` if any will do.
 * @param avoided The ids of nodes that are not taken if another one will do.
 */
export function placementOf(rules: NodeRules, bound?: string, avoided: readonly string[] = []): SwarmPlacement {
  const { labels = {}, node, spread } = rules;
  const constraints = [
    ...(node === undefined ? [] : [NODE_ID.test(node) ? `node.id==${node}` : `node.hostname==${node}`]),
    ...Object.entries(labels).map(([name, value]) => `node.labels.${name}==${value}`),
    ...(bound === undefined ? avoided.map((id) => `node.id!=${id}`) : [`node.id==${bound}`]),
  ];
  return {
    ...(constraints.length === 0 ? {} : { Constraints: constraints }),
    ...(spread === undefined ? {} : { Preferences: [{ Spread: { SpreadDescriptor: `node.labels.${spread}` } }] }),
  };
}

/** Whether a name or id is that of a node. */
export function isNamed(name: string, { hostname, id }: Pick<SwarmNode, "hostname" | "id">): boolean {
  return name === (NODE_ID.test(name) ? id : hostname);
}

/** Whether Swarm would place a new task on a node. */
export function takesTasks({ labels = {}, node }: NodeRules, candidate: SwarmNode): boolean {
  return candidate.isReady && candidate.availability === "active" &&
    (node === undefined || isNamed(node, candidate)) &&
    Object.entries(labels).every(([name, value]) => candidate.labels[name] === value);
}
