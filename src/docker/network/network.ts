import { messageOf, OperatorError } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { LABEL } from "../container_spec.ts";
import type { EngineApi, EngineNetwork } from "../engine_api.ts";
import { EngineError, kindOf } from "../engine_error.ts";
import { readProc } from "../../base/machine.ts";
import type { HostWall } from "./host_wall.ts";
import { formatSubnet, overlap, parseRoutes, parseSubnet, privateSubnets, type Subnet, toAddress } from "./subnet.ts";

const log = logger("network");
/** At most this many subnets are tried if the engine refuses them as overlapping. */
const MAX_SUBNETS = 16;

type NetworkApi = Pick<EngineApi, "networks" | "createNetwork" | "removeNetwork">;

/** The bridge network for one owner's containers. */
export class OwnNetwork {
  readonly name: string;
  readonly owner: string;
  readonly #api: NetworkApi;
  readonly #dataDir: string;
  readonly #isInUse: (dataDir: string) => Promise<boolean | undefined>;
  readonly #wall: Pick<HostWall, "raise"> | undefined;
  #ready: Promise<Subnet> | undefined;
  #making = false;

  /**
   * @param dataDir Its path is stored as a label of the network, so that a leftover network can be recognised.
   * @param isInUse Whether a process holds the lock of a data-dir.
   * @param wall Keeps the network's containers from the host.
   */
  constructor(
    api: NetworkApi,
    { owner, path }: { owner: string; path: string },
    isInUse: (dataDir: string) => Promise<boolean | undefined> = () => Promise.resolve(undefined),
    wall?: Pick<HostWall, "raise">,
  ) {
    this.#wall = wall;
    this.#api = api;
    this.#isInUse = isInUse;
    this.owner = owner;
    this.#dataDir = path;
    this.name = `cless-${owner}`;
  }

  /**
   * Creates the network if there is none, and returns its subnet.
   *
   * @throws {EngineError} When the engine refuses.
   * @throws {OperatorError} When it belongs to a cless that runs with a copy of this data-dir.
   */
  ensure(): Promise<Subnet> {
    if (this.#ready === undefined) {
      this.#making = true;
      this.#ready = this.#ensure().catch((error) => {
        this.#ready = undefined; // the next call tries again
        throw error;
      }).finally(() => this.#making = false);
    }
    return this.#ready;
  }

  /** Notes that somebody has removed the network, so that the next `ensure` creates it again. */
  lost(): void {
    if (!this.#making) this.#ready = undefined;
  }

  /** Removes the network, if it exists. */
  async remove(): Promise<void> {
    await this.#ready?.catch(() => {});
    await this.#api.removeNetwork(this.name).catch((error) => {
      if (kindOf(error) !== "no_such_network") log.warning("cannot remove the network", { reason: messageOf(error) });
    });
  }

  async #ensure(): Promise<Subnet> {
    const networks = await this.#api.networks();
    const own = networks.find(({ name }) => name === this.name);
    await this.#checkAlone(own?.labels[LABEL.dataDir]);
    const subnet = own === undefined ? await this.#create(networks) : subnetsOf(own)[0];
    if (subnet === undefined) {
      throw new EngineError("refused", `the network ${this.name} has no IPv4 subnet; remove it`);
    }
    await this.#wall?.raise(subnet);
    return subnet;
  }

  async #create(networks: readonly EngineNetwork[]): Promise<Subnet> {
    const routed = parseRoutes(await readProc("/proc/net/route"));
    const used = [...networks.flatMap(subnetsOf), ...routed];
    let tries = 0;
    for (const subnet of privateSubnets()) {
      if (used.some((other) => overlap(other, subnet))) continue;
      try {
        await this.#api.createNetwork({
          name: this.name,
          subnet: formatSubnet(subnet),
          gateway: toAddress(subnet.base + 1),
          labels: { [LABEL.owner]: this.owner, [LABEL.dataDir]: this.#dataDir },
        });
        log.debug("network made", { network: this.name, subnet: formatSubnet(subnet) });
        return subnet;
      } catch (error) {
        if (kindOf(error) !== "subnet_taken" || ++tries >= MAX_SUBNETS) throw error;
      }
    }
    throw new EngineError("refused", "there is no free private subnet for the containers' network");
  }

  /**
   * Refuses to run beside another process with the same owner id, as after a data-dir was copied: the two would take
   * and stop each other's containers.
   */
  async #checkAlone(dataDir: string | undefined): Promise<void> {
    if (dataDir === undefined || dataDir === this.#dataDir || !await this.#isInUse(dataDir).catch(() => false)) return;
    throw new OperatorError(
      `${this.#dataDir} is a copy of the data-dir ${dataDir}, which another cless uses; stop that one, or remove ` +
        `${this.#dataDir}/owner, so that the two are told apart`,
    );
  }
}

function subnetsOf({ subnets }: EngineNetwork): Subnet[] {
  return subnets.flatMap(({ subnet }) => parseSubnet(subnet) ?? []);
}
