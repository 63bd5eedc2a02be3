import type { Revision } from "../../model/revision.ts";
import { LABEL } from "../container_spec.ts";
import { kindOf } from "../engine_error.ts";
import type { SwarmApi } from "./swarm_api.ts";

/** The labels of the record of a volume. */
const KIND = "cless.kind";
const VOLUME = "cless.volume";
const NODE = "cless.node";

const encoder = new TextEncoder();

/**
 * Remembers in the Swarm's store which node has a volume: Swarm's own volumes are each node's. The first start of a
 * service with it decides, and nothing changes it: a container with data is never moved by itself.
 */
export class VolumeNodes {
  readonly #swarm: Pick<SwarmApi, "config" | "createConfig">;
  readonly #owner: string;
  readonly #known = new Map<string, string>();

  constructor(swarm: Pick<SwarmApi, "config" | "createConfig">, owner: string) {
    this.#swarm = swarm;
    this.#owner = owner;
  }

  /**
   * The node that has the volumes of a revision; `undefined` if it has no volumes.
   *
   * @param otherwise The node that gets those that no node has yet.
   * @throws {Error} When they are on several nodes. @throws {EngineError}
   */
  async nodeOf({ volumes }: Pick<Revision, "volumes">, otherwise: string): Promise<string | undefined> {
    let node: string | undefined;
    for (const { source } of volumes) {
      const found = await this.#nodeOf(source, node ?? otherwise);
      if (node !== undefined && found !== node) {
        throw new Error(`the volumes ${volumes.map(({ source }) => source).join(", ")} are on different nodes`);
      }
      node = found;
    }
    return node;
  }

  async #nodeOf(source: string, otherwise: string): Promise<string> {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const name = await this.#recordName(source);
    const labels = { [LABEL.owner]: this.#owner, [KIND]: "volume", [VOLUME]: source, [NODE]: otherwise };
    const node = await this.#read(name) ?? await this.#write(name, labels) ?? await this.#read(name) ?? otherwise;
    this.#known.set(source, node);
    return node;
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return (await this.#swarm.config(name)).labels[NODE];
    } catch (error) {
      if (kindOf(error) === "gone") return undefined;
      throw error;
    }
  }

  /** Resolves with the node, or with `undefined` if another cless has written the record first. */
  async #write(name: string, labels: Readonly<Record<string, string>>): Promise<string | undefined> {
    try {
      await this.#swarm.createConfig(name, labels, encoder.encode("volume"));
      return labels[NODE];
    } catch (error) {
      if (kindOf(error) === "conflict") return undefined;
      throw error;
    }
  }

  /** A name for the record: that of a volume may be longer than Swarm allows, and a folder's has slashes. */
  async #recordName(source: string): Promise<string> {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(source)));
    return `cless-${this.#owner}-volume-${hash.subarray(0, 12).toHex()}`;
  }
}
