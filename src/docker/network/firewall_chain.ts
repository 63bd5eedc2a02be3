import { plainMessageOf } from "../../base/errors.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const TABLE = ["-w", "-t", "mangle"];

/**
 * Rules of iptables(8) in a chain of their own, to which one rule of the chain `PREROUTING` of the table `mangle` leads.
 * There, a packet still has the address that it was sent to, before the engine's rules translate it.
 */
export class FirewallChain {
  readonly #name: string;
  readonly #command: string;

  /** @param name At most 28 characters. */
  constructor(name: string, family: "IPv4" | "IPv6" = "IPv4") {
    this.#name = name;
    this.#command = family === "IPv4" ? "iptables" : "ip6tables";
  }

  /**
   * Sets the rules in place of the present ones, in one step: no packet meets only a part of them.
   *
   * @param condition Which packets go through the chain, as arguments of iptables, worded as iptables prints them.
   * @param rules The arguments of each, without the chain.
   * @throws {Error} If it cannot.
   */
  async set(condition: string, rules: readonly string[]): Promise<void> {
    const lines = [
      "*mangle",
      `:${this.#name} - [0:0]`, // makes the chain, or empties it
      ...rules.map((rule) => `-A ${this.#name} ${rule}`),
      "COMMIT\n",
    ];
    must(await spawned(`${this.#command}-restore`, ["-w", "--noflush"], lines.join("\n")));
    if (await this.#leadsTo(condition)) return;
    await this.#removeJumps();
    must(await this.#run("-I", "PREROUTING", "1", ...condition.split(" "), "-j", this.#name));
  }

  /** Whether packets go through so many rules of the chain on that condition. */
  async isSet(condition: string, rules: readonly string[]): Promise<boolean> {
    const { stdout } = await this.#run("-S", this.#name);
    const count = stdout.split("\n").filter((line) => line.startsWith("-A ")).length;
    return count === rules.length && await this.#leadsTo(condition);
  }

  /** Whether the chain is there, whatever its rules. @throws {Error} If this process may not look. */
  async exists(): Promise<boolean> {
    must(await this.#run("-S", "PREROUTING"));
    return (await this.#run("-S", this.#name)).success;
  }

  /** Removes the rules, also those of an earlier process. Does nothing if there are none. */
  async remove(): Promise<void> {
    if (!(await this.#run("-S", this.#name)).success) return;
    await this.#removeJumps();
    await this.#run("-F", this.#name);
    await this.#run("-X", this.#name);
  }

  async #leadsTo(condition: string): Promise<boolean> {
    const jumps = await this.#jumps();
    return jumps.length === 1 && jumps[0]!.join(" ") === `${condition} -j ${this.#name}`;
  }

  async #removeJumps(): Promise<void> {
    for (const jump of await this.#jumps()) await this.#run("-D", "PREROUTING", ...jump);
  }

  /** The rules that jump to the chain, as arguments. */
  async #jumps(): Promise<string[][]> {
    const { stdout } = await this.#run("-S", "PREROUTING");
    return stdout.split("\n").filter((rule) => rule.endsWith(` -j ${this.#name}`))
      .map((rule) => rule.split(" ").slice(2));
  }

  #run(...args: string[]): Promise<Result> {
    return spawned(this.#command, [...TABLE, ...args]);
  }
}

/** What a command printed. If it could not be run, `stderr` says why. */
interface Result {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

function must({ success, stderr }: Result): void {
  if (!success) throw new Error(stderr.trim().split("\n")[0]);
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
