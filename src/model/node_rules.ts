/** On which machines of a Swarm instances may run. */
export interface NodeRules {
  /** The name of a node, or its id. */
  readonly node?: string;
  /** Labels that the node must have. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A label of nodes: instances are spread evenly over its values, such as over the rooms of a building. */
  readonly spread?: string;
}
