import { defined } from "./defined.ts";

/** On which machines of a Swarm instances may run. */
export interface NodeRules {
  /** The name of a node, or its id. */
  readonly node?: string;
  /** Labels that the node must have. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A label of nodes: instances are spread evenly over its values, such as over the rooms of a building. */
  readonly spread?: string;
}

/** Sorts the labels, and leaves out what is empty; `undefined` for no rules. */
export function canonicalRules({ labels = {}, node, spread }: NodeRules): NodeRules | undefined {
  const entries = Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1);
  const rules = defined({
    node,
    labels: entries.length === 0 ? undefined : Object.freeze(Object.fromEntries(entries)),
    spread,
  });
  return Object.keys(rules).length === 0 ? undefined : Object.freeze(rules);
}
