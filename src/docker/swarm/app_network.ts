import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { LABEL } from "../container_spec.ts";
import { kindOf } from "../engine_error.ts";
import type { EngineCaller, Kinds } from "../socket_client.ts";
import type { SwarmApi } from "./swarm_api.ts";

const log = logger("network");
/** A node removes the bridge some two seconds after its last task has been removed. */
const PATIENCE_MS = 5000;
const LOOK_MS = 100;
const TAKEN: Kinds = { 409: "conflict" };
const GONE: Kinds = { 404: "no_such_network" };

/**
 * The network of an owner's instances on a Swarm: on each node a bridge on which they do not reach each other.
 *
 * Swarm has it by a template on each node, a network that is only a configuration. From it, a node makes the bridge when
 * a first task comes, with addresses that are free there then, and removes it after the last one. A node without the
 * template rejects tasks.
 * https://docs.docker.com/reference/cli/docker/network/create/#config-only
 */
export class AppNetwork {
  readonly name: string;
  /** The network interface of each node. */
  readonly bridge: string;
  readonly #template: string;
  readonly #node: EngineCaller;
  readonly #swarm: Pick<SwarmApi, "createNetwork" | "removeNetwork">;
  readonly #owner: string;
  readonly #clock: Clock;

  constructor(
    node: EngineCaller,
    swarm: Pick<SwarmApi, "createNetwork" | "removeNetwork">,
    owner: string,
    clock: Clock,
  ) {
    this.name = `cless-apps-${owner}`;
    this.#template = `cless-apps-${owner}-template`;
    this.bridge = `cless-${owner}`; // Linux allows 15 characters
    this.#node = node;
    this.#swarm = swarm;
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Makes what is missing of the network, on this node and in the Swarm. @throws {EngineError} */
  async prepare(): Promise<void> {
    const body = {
      Name: this.#template,
      ConfigOnly: true,
      CheckDuplicate: true,
      Options: {
        "com.docker.network.bridge.name": this.bridge,
        "com.docker.network.bridge.enable_icc": "false",
      },
      Labels: { [LABEL.owner]: this.#owner },
    };
    await ifNew(() => this.#node.ask("POST", "/networks/create", { body, kinds: TAKEN }));
    await this.ensure();
  }

  /** Makes the network in the Swarm if there is none: `docker network prune` removes it while nothing runs. */
  async ensure(): Promise<void> {
    await ifNew(() => this.#swarm.createNetwork(this.name, this.#template));
  }

  /**
   * Removes what nobody uses any more. No instances of this cless may be left.
   *
   * @param isLast Whether no other cless of the owner lives; if one does, only this node's part is removed.
   */
  async remove(isLast: boolean): Promise<void> {
    try {
      if (isLast) await this.#untilUnused(() => this.#swarm.removeNetwork(this.name));
      const path = `/networks/${encodeURIComponent(this.#template)}`;
      await this.#untilUnused(() => this.#node.ask("DELETE", path, { kinds: GONE }), isLast ? PATIENCE_MS : 0);
    } catch (error) {
      log.warning("cannot remove the network", { reason: messageOf(error) });
    }
  }

  /** Repeats something while the network is in use. After that time it is left: others still use instances here. */
  async #untilUnused(work: () => Promise<unknown>, patienceMs = PATIENCE_MS): Promise<void> {
    const deadline = this.#clock.now() + patienceMs;
    for (;;) {
      try {
        return void await work();
      } catch (error) {
        if (kindOf(error) === "no_such_network") return;
        if (kindOf(error) !== "in_use") throw error;
        if (this.#clock.now() >= deadline) return log.debug("the network is in use", { reason: messageOf(error) });
      }
      await delay(this.#clock, LOOK_MS);
    }
  }
}

async function ifNew(create: () => Promise<unknown>): Promise<void> {
  await create().catch((error) => {
    if (kindOf(error) !== "conflict") throw error;
  });
}
