import { messageOf } from "../../../base/errors.ts";
import { StoreUnavailable } from "../../../control/store.ts";
import { kindOf } from "../../engine_error.ts";
import { findConfig, makeConfig, replaceLabels } from "../config_calls.ts";
import type { SwarmApi, SwarmConfig } from "../swarm_api.ts";
import { VolumeRecords } from "../volume_records.ts";
import { configName, type Kind, kindOfConfig, type Labels, labelsOf, listLabel } from "./shared_records.ts";

/** What of a Swarm the store uses. */
export type ConfigApi = Pick<
  SwarmApi,
  "config" | "configs" | "createConfig" | "setConfigLabels" | "removeConfig" | "events"
>;

/**
 * The configs of one owner in a Swarm. Names are unique, and labels are replaced only if nobody has replaced them since
 * they were read: all decisions between several cless are made by these two.
 *
 * Every method rejects with {@linkcode StoreUnavailable} if the Swarm cannot be reached, or has no leader.
 */
export class SharedConfigs {
  readonly owner: string;
  readonly #api: ConfigApi;

  constructor(api: ConfigApi, owner: string) {
    this.#api = api;
    this.owner = owner;
  }

  /** All configs of a kind. */
  async list(kind: Kind): Promise<SwarmConfig[]> {
    const listed = await stored(() => this.#api.configs(listLabel(this.owner, kind)));
    return listed.filter((config) => kindOfConfig(config) === kind);
  }

  /** A config; `undefined` if there is none. */
  async find(kind: Kind, name: string): Promise<SwarmConfig | undefined> {
    return await this.at(await configName(this.owner, kind, name));
  }

  /** A config by its own name; `undefined` if there is none. */
  async at(configName: string): Promise<SwarmConfig | undefined> {
    const config = await stored(() => findConfig(this.#api, configName));
    return config === undefined || kindOfConfig(config) === "closed" ? undefined : config;
  }

  /** Makes a config; resolves with `false` if there is one of that name. */
  async create(kind: Kind, name: string, labels: Labels, data?: Uint8Array): Promise<boolean> {
    const full = await configName(this.owner, kind, name);
    for (;;) {
      if (await stored(() => makeConfig(this.#api, full, labels, data))) return true;
      const other = await stored(() => findConfig(this.#api, full));
      if (other !== undefined && kindOfConfig(other) !== "closed") return false;
      if (other !== undefined) await this.remove(other); // whoever has closed it did not come to that
    }
  }

  /**
   * Records that a volume was in use before this Swarm was made, nobody knows on which machine. A record that is there
   * already stays.
   */
  async noteVolume(source: string): Promise<void> {
    const record = { nodeId: "", hostname: "", engineId: "", former: [] };
    await stored(() => new VolumeRecords(this.#api, this.owner).write(source, record));
  }

  /** Replaces the labels of a config; resolves with `false` if it has changed since it was read, or is gone. */
  async setLabels(config: SwarmConfig, labels: Labels): Promise<boolean> {
    return await stored(() => replaceLabels(this.#api, config, labels));
  }

  /** Removes a config whose labels never change. */
  async remove({ id }: Pick<SwarmConfig, "id">): Promise<void> {
    await stored(() => this.#api.removeConfig(id));
  }

  /**
   * Removes a config unless it has changed since it was read. It is closed first: from then on nobody changes it, and
   * whoever finds it takes it for gone.
   */
  async close(config: SwarmConfig): Promise<void> {
    if (await this.setLabels(config, labelsOf(this.owner, "closed", ""))) await this.remove(config);
  }

  /** Listens to the changes of all configs. Resolves when listening has begun. */
  async events(signal: AbortSignal): Promise<AsyncIterable<{ readonly name: string }>> {
    const since = String(Math.floor(Date.now() / 1000));
    const events = await stored(() => this.#api.events(since, signal));
    return (async function* () {
      for await (const { name, type } of events) if (type === "config") yield { name };
    })();
  }
}

/** Asks the Swarm. @throws {StoreUnavailable} If it refuses, or does not answer. */
async function stored<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const kind = kindOf(error);
    if (kind === undefined) throw error;
    const message = kind === "away"
      ? `the Swarm stores nothing now: ${messageOf(error)}; what runs is served, and changes are possible again when ` +
        "more than half of its managers reach each other"
      : `the Swarm does not store it: ${messageOf(error)}`;
    throw new StoreUnavailable(message, { cause: error });
  }
}
