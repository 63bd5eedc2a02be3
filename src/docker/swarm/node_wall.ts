import { messageOf, OperatorError } from "../../base/errors.ts";
import { FirewallChain } from "../network/firewall_chain.ts";

/** Ports from one to another, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Who may connect to which ports of this node. */
export interface Admission {
  /** The addresses of the Swarm's nodes, IPv4 or IPv6. */
  readonly nodes: readonly string[];
  /** The TCP ports of this node that Swarm publishes for apps. */
  readonly ports: readonly PortRange[];
}

/** iptables' module `multiport` takes so many numbers. */
const MAX_NUMBERS = 15;
/** Packets that this node has not sent itself, also those that are for another one. */
const CONDITION = "! -i lo -p tcp";
const FAMILIES = ["IPv4", "IPv6"] as const;

/**
 * Admits only the nodes of a Swarm to the ports that Swarm publishes for apps on this node, with rules of iptables(8).
 *
 * The engine publishes such a port on every address of the node, for IPv4 by translating addresses before the usual
 * firewalls look, and for both families by a program that listens. The rules come before both. Other ports are as they
 * were, also those that the engine publishes for containers that are not cless's.
 *
 * What containers of this node send to other nodes leaves it under its own address, so that those cannot tell it from
 * what cless sends. That is why such packets to the ports of instances are dropped here, on their way out.
 */
export class NodeWall {
  readonly #chains: Readonly<Record<typeof FAMILIES[number], FirewallChain>>;
  #admission: Admission | undefined;

  constructor(owner: string) {
    const name = `CLESS-NODES-${owner}`;
    this.#chains = { IPv4: new FirewallChain(name, "IPv4"), IPv6: new FirewallChain(name, "IPv6") };
  }

  /** Sets the rules, or replaces them in one step. @throws {OperatorError} If it cannot. */
  async admit(admission: Admission): Promise<void> {
    this.#admission = admission;
    try {
      for (const family of familiesHere()) await this.#chains[family].set(CONDITION, rulesFor(admission, family));
    } catch (error) {
      throw new OperatorError(
        `the ports of instances cannot be closed to others than the Swarm's nodes: ${messageOf(error)}; ` +
          "run cless as root, or give --open-ports where another firewall does that",
      );
    }
  }

  /** Sets the rules again if somebody has removed them. @throws {OperatorError} If it cannot. */
  async repair(): Promise<void> {
    const admission = this.#admission;
    if (admission === undefined) return;
    for (const family of familiesHere()) {
      if (await this.#chains[family].isSet(CONDITION, rulesFor(admission, family))) continue;
      return await this.admit(admission);
    }
  }

  /** Whether a process has set the rules. @throws {Error} If this process may not look. */
  async isSet(): Promise<boolean> {
    for (const family of familiesHere()) {
      if (!await this.#chains[family].exists()) return false;
    }
    return true;
  }

  /** Removes the rules, also those of an earlier process. Does nothing if there are none. */
  async remove(): Promise<void> {
    this.#admission = undefined;
    for (const family of FAMILIES) await this.#chains[family].remove();
  }
}

/** The rules of one address family, as arguments of iptables. */
export function rulesFor({ nodes, ports }: Admission, family: "IPv4" | "IPv6"): string[] {
  const addresses = nodes.filter((address) => address.includes(":") === (family === "IPv6"));
  const matches = portLists(ports).map((list) => `-p tcp -m multiport --dports ${list}`);
  return [
    // Answers to what this node or its containers have asked for arrive at ports of this node, too.
    "-m conntrack --ctdir REPLY -j RETURN",
    ...addresses.map((address) => `-s ${address} -j RETURN`),
    ...matches.map((match) => `${match} -m addrtype --dst-type LOCAL -j DROP`),
    ...addresses.flatMap((address) => matches.map((match) => `-d ${address} ${match} -j DROP`)),
  ];
}

/** The ports as lists for `multiport`; adjacent ones become a range. */
function portLists(ports: readonly PortRange[]): string[] {
  const ranges: { first: number; last: number }[] = [];
  for (const { first, last } of ports.toSorted((a, b) => a.first - b.first)) {
    const before = ranges.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else ranges.push({ first, last });
  }
  const lists: string[][] = [];
  let room = 0;
  for (const { first, last } of ranges) {
    const numbers = first === last ? 1 : 2;
    if (room < numbers) {
      lists.push([]);
      room = MAX_NUMBERS;
    }
    lists.at(-1)!.push(first === last ? `${first}` : `${first}:${last}`);
    room -= numbers;
  }
  return lists.map((list) => list.join(","));
}

/** The address families that this machine has. */
function familiesHere(): ("IPv4" | "IPv6")[] {
  const interfaces = Deno.networkInterfaces();
  return FAMILIES.filter((family) => family === "IPv4" || interfaces.some((each) => each.family === family));
}
