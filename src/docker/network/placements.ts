import type { Upstream } from "../../base/config.ts";
import type { Placement } from "../run_args.ts";
import { toAddress } from "./addresses.ts";
import { HostPorts } from "./host_ports.ts";
import type { OwnNetwork } from "./network.ts";

/** What {@linkcode Placements} work with. */
export interface PlacementsOptions {
  readonly network: OwnNetwork;
  readonly owner: string;
  readonly portRange: { readonly first: number; readonly last: number };
  /** Whether the host reaches the containers' own addresses: `auto` finds out. */
  readonly upstream: Upstream;
}

/** Where containers are: each has an address of its own, and a port of the host where that is how it is reached. */
export class Placements {
  readonly #network: OwnNetwork;
  readonly #owner: string;
  readonly #ports: HostPorts;
  readonly #upstream: Upstream;
  readonly #placements = new Map<string, Placement>();
  #direct: Promise<boolean> | undefined;

  constructor({ network, owner, portRange, upstream }: PlacementsOptions) {
    this.#network = network;
    this.#owner = owner;
    this.#ports = new HostPorts(portRange);
    this.#upstream = upstream;
  }

  /** Does in advance what the first placement would have to wait for. */
  async prepare(): Promise<void> {
    await this.#network.ensure();
    await this.reachesDirectly();
  }

  /**
   * Finds a place for a container, in place of the one that it has.
   *
   * @param port Where the app listens inside it.
   * @throws {DockerError} When the engine refuses.
   * @throws {RangeError} When every address or port is taken.
   */
  async take(id: string, port: number): Promise<Placement> {
    this.free(id);
    await this.#network.ensure();
    const direct = await this.reachesDirectly();
    const hostPort = direct ? undefined : this.#ports.take(); // may throw, and then no address is taken yet
    const address = this.#network.take();
    const origin = `http://${direct ? address : "127.0.0.1"}:${hostPort ?? port}`;
    const placement = { id, owner: this.#owner, network: this.#network.name, address, hostPort, origin };
    this.#placements.set(id, placement);
    return placement;
  }

  /** The containers that have a place now. */
  ids(): Set<string> {
    return new Set(this.#placements.keys());
  }

  /** Notes where a container is that an earlier process has started; whether that was news. */
  found(id: string, address: string, origin: string): boolean {
    if (this.#placements.has(id) || address === "" || origin === "") return false;
    const { hostname, port } = new URL(origin);
    const hostPort = hostname === "127.0.0.1" ? Number(port) : undefined;
    this.#network.occupy(address);
    if (hostPort !== undefined) this.#ports.occupy(hostPort);
    this.#placements.set(id, { id, owner: this.#owner, network: this.#network.name, address, hostPort, origin });
    return true;
  }

  /** Gives up the place of a container. */
  free(id: string): void {
    const placement = this.#placements.get(id);
    if (placement === undefined) return;
    this.#placements.delete(id);
    this.#network.free(placement.address);
    if (placement.hostPort !== undefined) this.#ports.free(placement.hostPort);
  }

  /** Whether the host has an address on the containers' network; where the engine runs in a machine of its own, it has none. */
  reachesDirectly(): Promise<boolean> {
    this.#direct ??= this.#upstream === "auto" ? this.#isOnBridge() : Promise.resolve(this.#upstream === "direct");
    this.#direct.catch(() => this.#direct = undefined);
    return this.#direct;
  }

  async #isOnBridge(): Promise<boolean> {
    const { base } = await this.#network.ensure();
    return Deno.networkInterfaces().some(({ address }) => address === toAddress(base + 1));
  }
}
