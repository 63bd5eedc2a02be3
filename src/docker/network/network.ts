import { messageOf, OperatorError } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import {
  formatSubnet,
  overlap,
  parseRoutes,
  parseSubnet,
  privateSubnets,
  Sequence,
  sizeOf,
  type Subnet,
  toAddress,
  toNumber,
} from "./addresses.ts";
import { type DockerCommand, DockerError, jsonLines } from "../command.ts";
import { readProc } from "../machine.ts";
import { LABEL } from "../run_args.ts";

const log = logger("network");
const MOST_TRIES = 16;

/** What `docker network inspect` says of a network, as far as it matters here. */
interface Inspected {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null };
}

/** The bridge network that the containers of one owner have to themselves, and the addresses on it. */
export class OwnNetwork {
  readonly name: string;
  readonly #docker: DockerCommand;
  readonly #owner: string;
  readonly #dataDir: string;
  readonly #isInUse: (dataDir: string) => Promise<boolean | undefined>;
  #ready: Promise<Subnet> | undefined;
  #making = false;
  #subnet: Subnet | undefined;
  #addresses: Sequence | undefined;
  /** Addresses in use that were noted before the network was known. */
  readonly #occupied: string[] = [];

  /**
   * @param dataDir Noted on the network, so that one that was left behind can be told from one in use.
   * @param isInUse Whether another process has a data-dir open.
   */
  constructor(
    docker: DockerCommand,
    { owner, path }: { owner: string; path: string },
    isInUse: (dataDir: string) => Promise<boolean | undefined> = () => Promise.resolve(undefined),
  ) {
    this.#docker = docker;
    this.#isInUse = isInUse;
    this.#owner = owner;
    this.#dataDir = path;
    this.name = `cless-${owner}`;
  }

  /**
   * Makes the network, unless it is there.
   *
   * @throws {DockerError} When the engine refuses.
   * @throws {OperatorError} When it belongs to a cless that runs with a copy of this data-dir.
   */
  ensure(): Promise<Subnet> {
    if (this.#ready === undefined) {
      this.#making = true;
      this.#ready = this.#ensure().catch((error) => {
        this.#ready = undefined; // the next one tries again
        throw error;
      }).finally(() => this.#making = false);
    }
    return this.#ready;
  }

  /** The address of the next container; call {@linkcode OwnNetwork.ensure} first. */
  take(): string {
    return toAddress(this.#addresses!.take());
  }

  /** Notes an address that a container has already. */
  occupy(address: string): void {
    if (this.#addresses === undefined) this.#occupied.push(address);
    else this.#addresses.occupy(toNumber(address));
  }

  /** Gives an address back. */
  free(address: string): void {
    this.#addresses?.free(toNumber(address));
  }

  /** Forgets that the network is there, since somebody has removed it; while it is being made that is no news. */
  lost(): void {
    if (!this.#making) this.#ready = undefined;
  }

  /** Removes the network; it does not matter if it is gone. */
  async remove(): Promise<void> {
    await this.#ready?.catch(() => {});
    await this.#docker.run(["network", "rm", this.name]).catch((error) => {
      if (!/not found/i.test(messageOf(error))) log.warning("cannot remove the network", { reason: messageOf(error) });
    });
  }

  async #ensure(): Promise<Subnet> {
    const networks = await listNetworks(this.#docker);
    const own = networks.find((network) => network.Name === this.name);
    await this.#checkAlone(own?.Labels?.[LABEL.dataDir]);
    const subnet = own === undefined ? await this.#create(networks) : subnetsOf(own)[0];
    if (subnet === undefined) throw new DockerError(`the network ${this.name} has no IPv4 subnet; remove it`);
    if (this.#addresses === undefined || this.#subnet?.base !== subnet.base) {
      this.#subnet = subnet;
      // The first address is the network's, the second the host's own, the last is for broadcasts.
      this.#addresses = new Sequence(subnet.base + 2, subnet.base + sizeOf(subnet) - 2);
      for (const address of this.#occupied) this.#addresses.occupy(toNumber(address));
    }
    return subnet;
  }

  async #create(networks: readonly Inspected[]): Promise<Subnet> {
    const used = [...networks.flatMap(subnetsOf), ...await routedSubnets()];
    let tries = 0;
    for (const subnet of privateSubnets()) {
      if (used.some((other) => overlap(other, subnet))) continue;
      try {
        await this.#docker.run([
          "network",
          "create",
          "--driver=bridge",
          `--subnet=${formatSubnet(subnet)}`,
          `--gateway=${toAddress(subnet.base + 1)}`,
          "--opt=com.docker.network.bridge.enable_icc=false",
          `--label=${LABEL.owner}=${this.#owner}`,
          `--label=${LABEL.dataDir}=${this.#dataDir}`,
          this.name,
        ]);
        log.debug("network made", { network: this.name, subnet: formatSubnet(subnet) });
        return subnet;
      } catch (error) {
        if (!/overlap/i.test(messageOf(error)) || ++tries >= MOST_TRIES) throw error;
      }
    }
    throw new DockerError("there is no free private subnet for the containers' network");
  }

  /** Two with one owner, as after a restore on the same machine, would take and stop each other's containers. */
  async #checkAlone(dataDir: string | undefined): Promise<void> {
    if (dataDir === undefined || dataDir === this.#dataDir || !await this.#isInUse(dataDir).catch(() => false)) return;
    throw new OperatorError(
      `${this.#dataDir} is a copy of the data-dir ${dataDir}, which another cless uses; stop that one, or remove ` +
        `${this.#dataDir}/owner, so that the two are told apart`,
    );
  }
}

/** Every network of the engine. */
async function listNetworks(docker: DockerCommand): Promise<Inspected[]> {
  for (let tries = 1;; tries++) {
    const ids = (await docker.run(["network", "ls", "--no-trunc", "--quiet"])).match(/^[0-9a-f]{64}$/gm) ?? [];
    if (ids.length === 0) return [];
    try {
      return jsonLines<Inspected>(await docker.run(["network", "inspect", "--format={{json .}}", ...ids]), "Name");
    } catch (error) {
      // Other programs make and remove networks, also between the two commands.
      if (!/not found/i.test(messageOf(error)) || tries >= MOST_TRIES) throw error;
    }
  }
}

function subnetsOf(network: Inspected): Subnet[] {
  return (network.IPAM?.Config ?? []).flatMap(({ Subnet }) => parseSubnet(Subnet ?? "") ?? []);
}

/** The IPv4 subnets that this machine has routes to, where it tells. */
async function routedSubnets(): Promise<Subnet[]> {
  return parseRoutes(await readProc("/proc/net/route"));
}
