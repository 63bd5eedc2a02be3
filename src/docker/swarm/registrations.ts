import { kindOf } from "../engine_error.ts";
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
  owner: "cless.owner",
  kind: "cless.kind",
  node: "cless.node",
  address: "cless.address",
  version: "cless.version",
  seen: "cless.seen",
} as const;
/** A config needs data, which never changes; all that is registered is in the labels. */
const DATA = new TextEncoder().encode("cless");

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
      .filter(({ labels }) => labels[LABELS.owner] === this.#owner);
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
      [LABELS.owner]: this.#owner,
      [LABELS.kind]: KIND,
      [LABELS.node]: nodeId,
      [LABELS.address]: address,
      [LABELS.version]: version,
      [LABELS.seen]: String(this.#now()),
    };
    const listed = this.#listed.get(name);
    if (listed !== undefined && await this.#renew(listed, labels)) return;
    for (;;) {
      try {
        await this.#swarm.createConfig(name, labels, DATA);
        return;
      } catch (error) {
        if (kindOf(error) !== "conflict") throw error;
      }
      const found = await this.#find(name);
      if (found !== undefined && await this.#renew(found, labels)) return;
    }
  }

  /** Does nothing if there is none. @throws {EngineError} */
  async remove(nodeId: string): Promise<void> {
    await this.#swarm.removeConfig(this.#nameOf(nodeId));
  }

  /** Returns false if the config is gone, or was changed since it was read. */
  async #renew(config: SwarmConfig, labels: Readonly<Record<string, string>>): Promise<boolean> {
    try {
      await this.#swarm.setConfigLabels(config, labels);
      return true;
    } catch (error) {
      const kind = kindOf(error);
      if (kind !== "gone" && kind !== "stale") throw error;
      return false;
    }
  }

  async #find(name: string): Promise<SwarmConfig | undefined> {
    try {
      return await this.#swarm.config(name);
    } catch (error) {
      if (kindOf(error) !== "gone") throw error;
      return undefined;
    }
  }

  #nameOf(nodeId: string): string {
    return `cless-${this.#owner}-${KIND}-${nodeId}`;
  }
}
