import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { NodeWall, PortRange } from "./node_wall.ts";
import type { SwarmApi } from "./swarm_api.ts";

const log = logger("swarm");
/** The firewall rules are checked at this interval: reloading the firewall removes them. */
const REPAIR_INTERVAL_MS = 60_000;

/** Keeps ports of this node, those of instances above all, open to the Swarm's nodes alone, while nodes come and go. */
export class PortGuard {
  readonly #wall: Pick<NodeWall, "admit" | "remove" | "repair">;
  readonly #swarm: Pick<SwarmApi, "nodes">;
  readonly #ports: PortRange[];
  readonly #clock: Clock;
  /** What holds: the addresses that are admitted, sorted, and the ports. */
  #admitted = "";
  /** Whether the rules may not be those that should hold: nodes may have come or gone since they were listed. */
  #isStale = false;
  /** Whether the ports are closed. */
  #isUp = false;
  /** Changes of the rules are made one after the other. */
  #working: Promise<void> | undefined;
  #stopRepairs = () => {};

  /** @param ports From which the instances have theirs. */
  constructor(
    wall: Pick<NodeWall, "admit" | "remove" | "repair">,
    swarm: Pick<SwarmApi, "nodes">,
    ports: PortRange,
    clock: Clock,
  ) {
    this.#wall = wall;
    this.#swarm = swarm;
    this.#ports = [ports];
    this.#clock = clock;
  }

  /** Closes the ports. @throws {OperatorError} If it cannot. @throws {EngineError} If the nodes cannot be listed. */
  async start(): Promise<void> {
    await this.#admit(await this.#addresses());
    this.#isUp = true;
    this.#stopRepairs = this.#clock.every(REPAIR_INTERVAL_MS, () => this.#begin());
  }

  /** Nodes may have come or gone. If they cannot be listed now, those that were admitted stay admitted. */
  changed(): void {
    if (!this.#isUp) return;
    this.#isStale = true;
    this.#begin();
  }

  /** Closes another port likewise. Does nothing if those of instances could not be closed. */
  async close(port: number): Promise<void> {
    this.#ports.push({ first: port, last: port });
    this.changed();
    await this.#working;
  }

  /** Opens the ports again. */
  async stop(): Promise<void> {
    await this.leave();
    await this.#wall.remove();
  }

  /** Changes nothing more, and leaves the rules as they are. */
  async leave(): Promise<void> {
    this.#stopRepairs();
    this.#isUp = this.#isStale = false;
    await this.#working;
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => this.#working = undefined);
  }

  async #work(): Promise<void> {
    try {
      await this.#wall.repair();
      while (this.#isStale) {
        this.#isStale = false;
        const nodes = await this.#addresses().catch((error) => {
          this.#isStale = true;
          throw error;
        });
        if (this.#admission(nodes) !== this.#admitted) await this.#admit(nodes);
      }
    } catch (error) {
      log.warning("cannot bring the firewall rules for the Swarm's nodes up to date", { reason: messageOf(error) });
    }
  }

  async #admit(nodes: readonly string[]): Promise<void> {
    const admitted = this.#admission(nodes);
    await this.#wall.admit({ nodes, ports: [...this.#ports] });
    this.#admitted = admitted;
  }

  #admission(nodes: readonly string[]): string {
    return JSON.stringify([nodes, this.#ports]);
  }

  async #addresses(): Promise<string[]> {
    const nodes = await this.#swarm.nodes();
    return [...new Set(nodes.map(({ address }) => address).filter((address) => address !== ""))].sort();
  }
}
