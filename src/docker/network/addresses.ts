import type { Config } from "../../base/config.ts";
import type { Placement } from "../container_spec.ts";
import type { OwnNetwork } from "./network.ts";
import { sizeOf, type Subnet, toAddress, toNumber } from "./subnet.ts";

/**
 * Gives each container an address on the network, and a port of the host if the app is published there. Both are given
 * out in sequence, and are reused only after the whole range: a request to a dead container must not reach another
 * container at the same address. The caller frees an address once no request is on its way there.
 */
export class Addresses {
  readonly network: OwnNetwork;
  readonly #upstream: Config["upstream"];
  readonly #ports: HostPorts;
  readonly #placements = new Map<string, Pick<Placement, "address" | "hostPort">>();
  /** The network's addresses, once known. */
  #sequence: { readonly subnet: Subnet; readonly numbers: Sequence } | undefined;
  #direct: Promise<boolean> | undefined;
  /** The number of the first address to give out, if another process has given out the earlier ones. */
  #from: number | undefined;

  constructor(network: OwnNetwork, { portRange, upstream }: Pick<Config, "portRange" | "upstream">) {
    this.network = network;
    this.#ports = new HostPorts(portRange.first, portRange.last);
    this.#upstream = upstream;
  }

  /** Does in advance what the first container would have to wait for. */
  async prepare(): Promise<void> {
    await this.network.ensure();
    await this.reachesDirectly();
  }

  /**
   * Gives a container an address, in place of its earlier one if it has one. @param port The app's port in the
   * container.
   * @throws {EngineError} When the engine refuses. @throws {RangeError} When every address or port is taken.
   */
  async take(id: string, port: number): Promise<Placement> {
    const subnet = await this.network.ensure();
    const direct = await this.reachesDirectly();
    // No await from here on, so that two calls for one container cannot leak an address.
    this.free(id);
    const hostPort = direct ? undefined : this.#ports.take(); // taken first: if this throws, no address has been taken
    const address = toAddress(this.#numbersOf(subnet).take());
    this.#placements.set(id, { address, hostPort });
    const origin = `http://${direct ? address : "127.0.0.1"}:${hostPort ?? port}`;
    return { id, owner: this.network.owner, network: this.network.name, address, hostPort, origin };
  }

  /** The next address and port to give out. */
  get position(): AddressPosition {
    return { address: this.#sequence?.numbers.next ?? this.#from, port: this.#ports.next };
  }

  /** Continues after the addresses of another process, whose requests may still be on their way to dead containers. */
  continueFrom({ address, port }: AddressPosition): void {
    this.#from = address;
    if (address !== undefined) this.#sequence?.numbers.skipTo(address);
    this.#ports.skipTo(port);
  }

  /** The containers with an address. */
  ids(): Set<string> {
    return new Set(this.#placements.keys());
  }

  /** Notes the address of a found container. @returns Whether it was new. */
  found(id: string, address: string, origin: string): boolean {
    if (this.#placements.has(id) || address === "" || origin === "") return false;
    const { hostname, port } = new URL(origin);
    const hostPort = hostname === "127.0.0.1" ? Number(port) : undefined;
    this.#sequence?.numbers.occupy(toNumber(address));
    if (hostPort !== undefined) this.#ports.occupy(hostPort);
    this.#placements.set(id, { address, hostPort });
    return true;
  }

  free(id: string): void {
    const placement = this.#placements.get(id);
    if (placement === undefined) return;
    this.#placements.delete(id);
    this.#sequence?.numbers.free(toNumber(placement.address));
    if (placement.hostPort !== undefined) this.#ports.free(placement.hostPort);
  }

  /**
   * Whether the host reaches containers' addresses. With `auto`, that is so if the host has an address on the
   * containers' network; it has none if the engine runs in a virtual machine.
   */
  reachesDirectly(): Promise<boolean> {
    this.#direct ??= this.#upstream === "auto" ? this.#isOnBridge() : Promise.resolve(this.#upstream === "direct");
    this.#direct.catch(() => this.#direct = undefined);
    return this.#direct;
  }

  async #isOnBridge(): Promise<boolean> {
    const { base } = await this.network.ensure();
    return Deno.networkInterfaces().some(({ address }) => address === toAddress(base + 1));
  }

  /** The addresses of the subnet as numbers. The subnet changes if the network is created again. */
  #numbersOf(subnet: Subnet): Sequence {
    if (this.#sequence?.subnet.base !== subnet.base) {
      // The first address is the network's, the second the host's, the last is for broadcasts.
      const numbers = new Sequence(subnet.base + 2, subnet.base + sizeOf(subnet) - 2);
      for (const { address } of this.#placements.values()) numbers.occupy(toNumber(address));
      if (this.#from !== undefined) numbers.skipTo(this.#from);
      this.#sequence = { subnet, numbers };
    }
    return this.#sequence.numbers;
  }
}

/** The next address and port to give out. */
export interface AddressPosition {
  /** As a number; `undefined` if the network is not known yet. */
  readonly address: number | undefined;
  readonly port: number;
}

/** Gives out the numbers of a range in sequence. A number comes again only after all others. */
export class Sequence {
  readonly #first: number;
  readonly #last: number;
  readonly #taken = new Set<number>();
  #next: number;

  /** @param last Included in the range. */
  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
    this.#next = first;
  }

  /** The next number to give out, if it is free. */
  get next(): number {
    return this.#next;
  }

  /** Continues with a number, if it is in the range. */
  skipTo(number: number): void {
    if (number >= this.#first && number <= this.#last) this.#next = number;
  }

  /** Takes the next free number for which `isUsable` is true. @throws {RangeError} When there is none. */
  take(isUsable: (number: number) => boolean = () => true): number {
    for (let tries = this.#first; tries <= this.#last; tries++) {
      const number = this.#next;
      this.#next = number === this.#last ? this.#first : number + 1;
      if (this.#taken.has(number) || !isUsable(number)) continue;
      this.#taken.add(number);
      return number;
    }
    throw new RangeError("every number of the range is taken");
  }

  /** Notes that a number is in use. The sequence continues after it. */
  occupy(number: number): void {
    if (number < this.#first || number > this.#last) return;
    this.#taken.add(number);
    if (number >= this.#next) this.#next = number === this.#last ? this.#first : number + 1;
  }

  /** Gives a number back. */
  free(number: number): void {
    this.#taken.delete(number);
  }
}

/** Gives out the host's ports for published containers in sequence, except those that other programs use. */
export class HostPorts extends Sequence {
  override take(): number {
    try {
      return super.take(isFree);
    } catch {
      throw new RangeError("every port of the range is in use; give cless another one with --port-range");
    }
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
