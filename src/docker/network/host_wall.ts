import { messageOf, OperatorError } from "../../base/errors.ts";
import { FirewallChain } from "./firewall_chain.ts";
import { type Subnet, toAddress } from "./subnet.ts";

/**
 * Keeps containers from all ports of their host except the proxy's, with rules of iptables(8).
 *
 * The rules also apply to ports that the engine publishes for other containers, since they come before the engine's.
 * They match by the network's bridge and not by the sender's address, since an app can forge that.
 */
export class HostWall {
  readonly #chain: FirewallChain;
  #bridge: string | undefined;
  #ports: readonly number[];

  /** @param ports The TCP ports of the host on which the proxy listens, as far as they are known. */
  constructor(owner: string, ports: readonly number[]) {
    this.#chain = new FirewallChain(`CLESS-${owner}`);
    this.#ports = ports;
  }

  /** Lets containers reach only these TCP ports of the host, on which the proxy listens. */
  async letThrough(ports: readonly number[]): Promise<void> {
    this.#ports = ports;
    if (this.#bridge !== undefined) await this.#apply(this.#bridge);
  }

  /** Sets the rules for a network, in place of those for an earlier network. @throws {OperatorError} If it cannot. */
  async raise({ base }: Subnet): Promise<void> {
    const gateway = toAddress(base + 1);
    this.#bridge = Deno.networkInterfaces().find(({ address }) => address === gateway)?.name;
    if (this.#bridge === undefined) {
      throw new OperatorError(
        "--no-host-access works only where the engine's networks are on this machine, which has no address on them",
      );
    }
    await this.#apply(this.#bridge);
  }

  /** Sets the rules again if somebody has removed them. @throws {OperatorError} If it cannot. */
  async repair(): Promise<void> {
    const bridge = this.#bridge;
    if (bridge !== undefined && !await this.#chain.isSet(`-i ${bridge}`, this.#rules())) await this.#apply(bridge);
  }

  /** Removes the rules, also those of an earlier process. Does nothing if there are none. */
  async remove(): Promise<void> {
    this.#bridge = undefined;
    await this.#chain.remove();
  }

  async #apply(bridge: string): Promise<void> {
    try {
      await this.#chain.set(`-i ${bridge}`, this.#rules());
    } catch (error) {
      throw new OperatorError(
        `--no-host-access cannot be enforced: ${messageOf(error)}; leave it out, or fix that`,
      );
    }
  }

  #rules(): string[] {
    return [
      "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN", // the app's answers to cless
      "-m addrtype --dst-type UNICAST -j RETURN", // other machines
      ...this.#ports.map((port) => `-p tcp -m addrtype --dst-type LOCAL --dport ${port} -j RETURN`),
      "-j DROP",
    ];
  }
}
