import { LABEL } from "../container_spec.ts";
import { findConfig, makeConfig, replaceLabels } from "./config_calls.ts";
import type { SwarmApi, SwarmConfig } from "./swarm_api.ts";

/** What one cless says of itself to the others. */
interface Facts {
  /** Of the node that it runs on. */
  readonly nodeId: string;
  /** Where it listens for the others: `HOST:PORT`. */
  readonly address: string;
  readonly version: string;
}

const KIND = "node";
const LABELS = {
  kind: "cless.kind",
  node: "cless.node",
  address: "cless.address",
  version: "cless.version",
  seen: "cless.seen",
} as const;

/**
 * Where the cless processes of one owner register: each has a config of its own in the Swarm's store, and renews it by
 * changing its labels, which is one write.
 */
export class SwarmRegistrations {
  readonly #swarm: Pick<SwarmApi, "config" | "configs" | "createConfig" | "removeConfig" | "setConfigLabels">;
  readonly #owner: string;
  readonly #now: () => number;
  /** As last listed. */
  #listed: ReadonlyMap<string, SwarmConfig> = new Map();

  /** @param now Wall-clock time, ms since 1970; people may read when a registration was renewed. */
  constructor(
    swarm: Pick<SwarmApi, "config" | "configs" | "createConfig" | "removeConfig" | "setConfigLabels">,
    owner: string,
    now: () => number = Date.now,
  ) {
    this.#swarm = swarm;
    this.#owner = owner;
    this.#now = now;
  }

  /**
   * All registrations of the owner. The revision is another one after each renewal; `seenAt` is when that was, ms since
   * 1970, by the clock of who renewed it. @throws {EngineError}
   */
  async list(): Promise<(Facts & { readonly revision: number; readonly seenAt: number })[]> {
    const configs = (await this.#swarm.configs(`${LABELS.kind}=${KIND}`))
      .filter(({ labels }) => labels[LABEL.owner] === this.#owner);
    this.#listed = new Map(configs.map((config) => [config.name, config]));
    return configs.map(({ labels, version: revision }) => ({
      ...{ nodeId: labels[LABELS.node] ?? "", address: labels[LABELS.address] ?? "" },
      ...{ version: labels[LABELS.version] ?? "", revision, seenAt: Number(labels[LABELS.seen] ?? 0) },
    }));
  }

  /** Writes a registration in place of an earlier one of the same node. @throws {EngineError} */
  async put({ address, nodeId, version }: Facts): Promise<void> {
    const name = this.#nameOf(nodeId);
    const labels = {
      [LABEL.owner]: this.#owner,
      [LABELS.kind]: KIND,
      [LABELS.node]: nodeId,
      [LABELS.address]: address,
      [LABELS.version]: version,
      [LABELS.seen]: String(this.#now()),
    };
    const listed = this.#listed.get(name);
    if (listed !== undefined && await replaceLabels(this.#swarm, listed, labels)) return;
    while (!await makeConfig(this.#swarm, name, labels)) {
      const found = await findConfig(this.#swarm, name);
      if (found !== undefined && await replaceLabels(this.#swarm, found, labels)) return;
    }
  }

  /** Does nothing if there is none. @throws {EngineError} */
  async remove(nodeId: string): Promise<void> {
    await this.#swarm.removeConfig(this.#nameOf(nodeId));
  }

  #nameOf(nodeId: string): string {
    return `cless-${this.#owner}-${KIND}-${nodeId}`;
  }
}
