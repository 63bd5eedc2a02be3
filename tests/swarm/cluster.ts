import { assertEquals } from "@std/assert";
import type { NodeProgram } from "./node_program.ts";
import { type Node, Nodes } from "./nodes.ts";

/** Options of {@linkcode Cluster.start}. */
export interface ClusterOptions {
  /** How many nodes there are; all of them run cless. */
  readonly count?: number;
  /** How many of them are managers. The first one is their leader at the beginning. */
  readonly managers?: number;
  /** How often nodes say to Swarm that they are there. */
  readonly heartbeat?: string;
  /** Local images that every node gets. */
  readonly images?: readonly string[];
  /** Flags of `serve`, of all nodes. */
  readonly flags?: readonly string[];
}

/** Nodes of one Swarm with a cless of the same owner on each, made as README says. */
export class Cluster implements AsyncDisposable {
  readonly nodes: Nodes;
  readonly #programs: NodeProgram[];

  private constructor(nodes: Nodes, programs: NodeProgram[]) {
    this.nodes = nodes;
    this.#programs = programs;
  }

  static async start(
    { count = 3, flags = [], heartbeat = "1s", images = ["golang-docker"], managers = 1 }: ClusterOptions = {},
  ): Promise<Cluster> {
    const nodes = await Nodes.start(count);
    try {
      const loaded = Promise.all(nodes.all.map((node) => node.load(...images)));
      const [first, ...others] = nodes.all as [Node, ...Node[]];
      await first.swarmInit({ heartbeat });
      const programs = [await first.startCless(["--engine", "swarm", ...flags])];
      const token = await first.cless("nodes", "--join-token");
      for (const [index, node] of others.entries()) {
        const said = await node.cless("join", token, ...(index + 1 < managers ? ["--manager-node"] : []));
        const serve = /cless serve (.+)$/m.exec(said)![1]!.replace(/ --data-dir \S+/, "").split(" ");
        programs.push(await node.startCless([...serve, ...flags]));
      }
      await loaded;
      return new Cluster(nodes, programs);
    } catch (error) {
      await nodes[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node with that number; the first one has 1. */
  node(number: number): Node {
    return this.nodes.node(number);
  }

  /** The cless on the node with that number. */
  cless(number: number): NodeProgram {
    return this.#programs[number - 1]!;
  }

  /** Starts cless again on a node that was started again. */
  async restartCless(number: number, flags: readonly string[]): Promise<void> {
    this.#programs[number - 1] = await this.node(number).startCless(flags);
  }

  /** Has another process take over from the cless on a node; resolves when the old one has gone. */
  async upgradeCless(number: number): Promise<void> {
    const old = this.cless(number);
    const flags = old.flags.filter((flag) => flag !== "--take-over");
    this.#programs[number - 1] = await this.node(number).startCless([...flags, "--take-over"]);
    assertEquals(await old.exit(), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes[Symbol.asyncDispose]();
  }
}
