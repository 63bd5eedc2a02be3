import { OperatorError, plainMessageOf } from "../../base/errors.ts";
import { type Subnet, toAddress } from "./subnet.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * Keeps containers from all ports of their host except the proxy's, with rules of iptables(8).
 *
 * The rules are in the chain `PREROUTING` of the table `mangle`. There, a packet still has the address that the app
 * sent it to, so the rules also apply to ports that the engine publishes for other containers. They match by the
 * network's bridge and not by the sender's address, since an app can forge that.
 */
export class HostWall {
  readonly #chain: string;
  #bridge: string | undefined;
  #ports: readonly number[];

  /** @param ports The TCP ports of the host on which the proxy listens, as far as they are known. */
  constructor(owner: string, ports: readonly number[]) {
    this.#chain = `CLESS-${owner}`;
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
    if (this.#bridge !== undefined && !await this.#isUp(this.#bridge)) await this.#apply(this.#bridge);
  }

  /** Removes the rules, also those of an earlier process. Does nothing if there are none. */
  async remove(): Promise<void> {
    this.#bridge = undefined;
    if (!(await this.#run("-S", this.#chain)).success) return;
    for (const jump of await this.#jumps()) await this.#run("-D", "PREROUTING", ...jump);
    await this.#run("-F", this.#chain);
    await this.#run("-X", this.#chain);
  }

  async #apply(bridge: string): Promise<void> {
    const chain = this.#chain;
    const allowed = this.#ports.map((port) =>
      `-A ${chain} -p tcp -m addrtype --dst-type LOCAL --dport ${port} -j RETURN`
    );
    this.#must(
      await spawned(
        "iptables-restore",
        ["-w", "--noflush"],
        [
          "*mangle",
          `:${chain} - [0:0]`, // makes the chain, or empties it
          `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`, // the app's answers to cless
          `-A ${chain} -m addrtype --dst-type UNICAST -j RETURN`, // other machines
          ...allowed,
          `-A ${chain} -j DROP`,
          "COMMIT\n",
        ].join("\n"),
      ),
    );
    if (await this.#isUp(bridge)) return;
    for (const jump of await this.#jumps()) await this.#run("-D", "PREROUTING", ...jump);
    this.#must(await this.#run("-I", "PREROUTING", "1", "-i", bridge, "-j", chain));
  }

  async #isUp(bridge: string): Promise<boolean> {
    const jumps = await this.#jumps();
    return jumps.length === 1 && jumps[0]!.join(" ") === `-i ${bridge} -j ${this.#chain}`;
  }

  /** The rules that jump to the chain, as arguments. */
  async #jumps(): Promise<string[][]> {
    const { stdout } = await this.#run("-S", "PREROUTING");
    return stdout.split("\n").filter((rule) => rule.endsWith(` -j ${this.#chain}`))
      .map((rule) => rule.split(" ").slice(2));
  }

  #run(...args: string[]): Promise<Result> {
    return spawned("iptables", ["-w", "-t", "mangle", ...args]);
  }

  #must({ success, stderr }: Result): void {
    if (success) return;
    throw new OperatorError(
      `--no-host-access cannot be enforced: ${stderr.trim().split("\n")[0]}; leave it out, or fix that`,
    );
  }
}

/** What a command printed. If it could not be run, `stderr` says why. */
interface Result {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

async function spawned(command: string, args: readonly string[], stdin = ""): Promise<Result> {
  try {
    const child = new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(encoder.encode(stdin)).then(() => writer.close()).catch(() => {}); // it has ended already
    const { success, stdout, stderr } = await child.output();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    return { success: false, stdout: "", stderr: `cannot run ${command}: ${plainMessageOf(error)}` };
  }
}
