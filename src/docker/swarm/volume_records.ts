import { LABEL } from "../container_spec.ts";
import { findConfig, makeConfig, replaceLabels } from "./config_calls.ts";
import { shortHash } from "./short_hash.ts";
import type { SwarmApi, SwarmConfig } from "./swarm_api.ts";

const LABELS = {
  kind: "cless.kind",
  volume: "cless.volume",
  node: "cless.node",
  hostname: "cless.hostname",
  engine: "cless.engine",
  former: "cless.former",
} as const;

/** On which machine a volume is. */
export interface VolumeRecord {
  /** The id of the machine's node; empty if the volume was in use before there was this Swarm, nobody knows where. */
  readonly nodeId: string;
  /** For people, who may have to look for a machine that is in the Swarm no more; empty if unknown. */
  readonly hostname: string;
  /** The id of its engine, which it keeps if it joins again as another node; empty if unknown. */
  readonly engineId: string;
  /** The ids of the nodes that the same engine was before. */
  readonly former: readonly string[];
}

/** A record as it was read. */
export interface ReadRecord extends VolumeRecord {
  readonly config: SwarmConfig;
}

/** What of a Swarm the records use. */
export type RecordApi = Pick<SwarmApi, "config" | "configs" | "createConfig" | "setConfigLabels">;

/**
 * Records in the Swarm's store on which machine each volume of an owner is: Swarm's own volumes are each machine's. All
 * cless read the same, whichever of them is started anew.
 */
export class VolumeRecords {
  readonly #swarm: RecordApi;
  readonly #owner: string;

  constructor(swarm: RecordApi, owner: string) {
    this.#swarm = swarm;
    this.#owner = owner;
  }

  /** The record of a volume; `undefined` if there is none. @throws {EngineError} */
  async read(source: string): Promise<ReadRecord | undefined> {
    const config = await findConfig(this.#swarm, recordName(this.#owner, source));
    return config && recordOf(config);
  }

  /** All records, by volume. @throws {EngineError} */
  async all(): Promise<Map<string, ReadRecord>> {
    const configs = (await this.#swarm.configs(`${LABELS.kind}=volume`))
      .filter(({ labels }) => labels[LABEL.owner] === this.#owner);
    return new Map(configs.map((config) => [config.labels[LABELS.volume] ?? "", recordOf(config)]));
  }

  /**
   * Writes a record in place of the one that was read. Resolves with false if somebody else has written it meanwhile.
   *
   * @param before Missing if there was none. @throws {EngineError}
   */
  async write(source: string, record: VolumeRecord, before?: ReadRecord): Promise<boolean> {
    const labels = recordLabels(this.#owner, source, record);
    if (before !== undefined) return await replaceLabels(this.#swarm, before.config, labels);
    return await makeConfig(this.#swarm, recordName(this.#owner, source), labels);
  }
}

function recordLabels(owner: string, source: string, record: VolumeRecord): Readonly<Record<string, string>> {
  const { engineId, former, hostname, nodeId } = record;
  return {
    [LABEL.owner]: owner,
    [LABELS.kind]: "volume",
    [LABELS.volume]: source,
    [LABELS.node]: nodeId,
    [LABELS.hostname]: hostname,
    [LABELS.engine]: engineId,
    [LABELS.former]: former.join(" "),
  };
}

function recordOf(config: SwarmConfig): ReadRecord {
  const { labels } = config;
  return {
    config,
    nodeId: labels[LABELS.node] ?? "",
    hostname: labels[LABELS.hostname] ?? "",
    engineId: labels[LABELS.engine] ?? "",
    former: (labels[LABELS.former] ?? "").split(" ").filter(Boolean),
  };
}

/** A name for the record: that of a volume may be longer than Swarm allows, and a folder's has slashes. */
function recordName(owner: string, source: string): string {
  return `cless-${owner}-volume-${shortHash(source)}`;
}
