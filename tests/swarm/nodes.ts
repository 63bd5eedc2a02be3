import { docker } from "../support/docker.ts";
import { ROOT } from "../support/sources.ts";
import { until } from "../support/until.ts";
import { nodeImage } from "./node_image.ts";
import { NodeProgram } from "./node_program.ts";

/** An engine that does not answer after this time will not. */
const STARTED_MS = 60_000;
/** Where each node has a folder that it shares with this machine. */
const SHARED = "/node";
/** Has the number of the process whose containers and networks these are. */
const LABEL = "cless.test.nodes";

/**
 * Machines for a Swarm: containers on a network of their own, each with its own engine. This machine reaches them at
 * their addresses, and is no node itself.
 */
export class Nodes implements AsyncDisposable {
  readonly all: readonly Node[];
  readonly #network: string;
  readonly #folder: string;
  readonly #image: string;

  private constructor(all: readonly Node[], network: string, folder: string, image: string) {
    this.all = all;
    this.#network = network;
    this.#folder = folder;
    this.#image = image;
  }

  /** Starts so many nodes, and resolves when their engines answer. They are in no Swarm yet. */
  static async start(count: number): Promise<Nodes> {
    const [image] = await Promise.all([nodeImage(), removeAbandoned()]);
    const network = await makeNetwork();
    const folder = await Deno.makeTempDir({ prefix: "nodes-" });
    const all = Array.from({ length: count }, (_, index) => new Node(network, index + 1, folder));
    const nodes = new Nodes(all, network.name, folder, image);
    try {
      const mounts = await sharedMounts();
      await Promise.all(all.map((node) => node.create(image, mounts)));
      return nodes;
    } catch (error) {
      await nodes[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node with that number; the first one has 1. */
  node(number: number): Node {
    const node = this.all[number - 1];
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  /** Makes one Swarm of all nodes. The first ones are its managers, and the first one is their leader. */
  async makeSwarm({ managers = 1, ...options }: { managers?: number } & SwarmOptions = {}): Promise<void> {
    const [first, ...others] = this.all;
    await first!.swarmInit(options);
    for (const [index, node] of others.entries()) await node.join(first!, index + 1 < managers ? "manager" : "worker");
  }

  /** Runs a shell script in a container that is on the nodes' network, but no node; resolves with what it printed. */
  outside(script: string): Promise<string> {
    return docker("run", "--rm", "--label", label(), "--network", this.#network, this.#image, "sh", "-c", script);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.all.map(({ name }) => name), [this.#network]);
    await Promise.all(this.all.map((node) => node.ended()));
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Options of {@linkcode Node.swarmInit}. */
interface SwarmOptions {
  /** How often nodes say that they are there; Docker's default is 5 s. */
  readonly heartbeat?: string;
}

/** A machine that is a container, with its own engine. */
export class Node {
  readonly number: number;
  /** The container's name on this machine. */
  readonly name: string;
  readonly hostname: string;
  readonly address: string;
  /** Its address of the other family. */
  readonly address6: string;
  /** Where the node reaches this machine. */
  readonly machine: string;
  /** A folder that the node has too, as `/node`. */
  readonly folder: string;
  /** Where this machine reaches the node's engine. */
  readonly engineSocket: string;
  /** Every cless that was started in it. */
  readonly programs: NodeProgram[] = [];
  readonly #network: Network;

  constructor(network: Network, number: number, folder: string) {
    this.#network = network;
    this.number = number;
    this.name = `${network.name}-${number}`;
    this.hostname = `node-${number}`;
    this.address = `${network.prefix}.${10 + number}`;
    this.machine = `${network.prefix}.1`;
    this.address6 = `${network.prefix6}::${10 + number}`;
    this.folder = `${folder}/${number}`;
    this.engineSocket = `${this.folder}/engine.sock`;
  }

  /** The folder of cless's data, here and in the node. */
  get dataDir(): string {
    return `${this.folder}/data`;
  }

  async create(image: string, mounts: readonly string[]): Promise<void> {
    await Deno.mkdir(this.folder);
    await docker(
      ...["run", "--detach", "--privileged", "--cgroupns", "private", "--label", label()],
      ...["--name", this.name, "--hostname", this.hostname, "--network", this.#network.name, "--ip", this.address],
      ...["--ip6", this.address6],
      ...["--volume", `${this.folder}:${SHARED}`, ...mounts, "--env", `CLESS_DATA_DIR=${SHARED}/data`, image],
    );
    await this.#started();
  }

  /** Runs a command in the node; resolves with what it printed, and fails with what it said. */
  exec(...command: string[]): Promise<string> {
    return docker("exec", this.name, ...command);
  }

  /** Runs a docker command with the node's engine. */
  docker(...args: string[]): Promise<string> {
    return docker("--host", `unix://${this.engineSocket}`, ...args);
  }

  /** Runs a verb of cless in the node. */
  cless(...args: string[]): Promise<string> {
    return docker("exec", "--workdir", ROOT.pathname, this.name, "deno", "run", "-A", "main.ts", ...args);
  }

  /** Starts cless in the node, and resolves when it serves. It listens on ports 80 and 1323 of the node's address. */
  async startCless(flags: readonly string[] = []): Promise<NodeProgram> {
    const program = new NodeProgram(this, this.programs.length + 1, flags);
    this.programs.push(program);
    await program.logged("serving");
    return program;
  }

  /** Makes a Swarm of this node alone. */
  async swarmInit({ heartbeat = "5s" }: SwarmOptions = {}): Promise<void> {
    await this.docker(
      ...["swarm", "init", "--advertise-addr", this.address, "--listen-addr", this.address],
      ...["--dispatcher-heartbeat", heartbeat],
    );
  }

  /** Joins a manager's Swarm. */
  async join(manager: Node, role: "manager" | "worker" = "worker"): Promise<void> {
    const token = await manager.docker("swarm", "join-token", "--quiet", role);
    await this.docker(
      ...["swarm", "join", "--advertise-addr", this.address, "--listen-addr", this.address, "--token", token],
      `${manager.address}:2377`,
    );
  }

  /** The node's engine as this machine sees it. */
  async enginePid(): Promise<number> {
    return await this.pidHere(await this.exec("pidof", "dockerd"));
  }

  /** A process of the node as this machine sees it. @param inside Its id in the node. */
  async pidHere(inside: string): Promise<number> {
    const init = await docker("inspect", "--format", "{{.State.Pid}}", this.name);
    const namespace = await Deno.readLink(`/proc/${init}/ns/pid`);
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        if (await Deno.readLink(`/proc/${name}/ns/pid`) !== namespace) continue;
        const [, ids] = /^NSpid:\s+(.*)$/m.exec(await Deno.readTextFile(`/proc/${name}/status`)) ?? [];
        if (ids?.split(/\s+/).at(-1) === inside.trim()) return Number(name);
      } catch {
        // It has ended meanwhile.
      }
    }
    throw new Error(`there is no process ${inside} in ${this.name}`);
  }

  /** Copies images from this machine's engine into the node's. */
  async load(...images: string[]): Promise<void> {
    if (images.length === 0) return;
    const script = 'socket=$1; shift; docker save "$@" | docker --host "unix://$socket" load --quiet';
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", script, "sh", this.engineSocket, ...images],
      stdin: "null",
      stdout: "null",
    }).output();
    if (!success) throw new Error(`${images.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }

  /** Ends the node as a loss of power does: everything in it is gone at once, and so is its address. */
  async kill(): Promise<void> {
    await whileThawing([this.name], docker("kill", this.name));
    await this.ended();
  }

  /** Starts a node again that was killed, with the disk that it had, and resolves when its engine answers. */
  async restart(): Promise<void> {
    await docker("start", this.name);
    await this.#started();
  }

  /** Ends the engine, and with it all containers; resolves when it answers again. What else runs in the node goes on. */
  async restartEngine(): Promise<void> {
    const before = (await this.exec("pidof", "dockerd")).trim();
    await this.exec("kill", "-TERM", before);
    await until(async () => await this.exec("pidof", "dockerd").then((pid) => pid.trim(), () => before) !== before);
    await this.#started();
  }

  /** Cuts the node off the network: what it sends is lost, and what is sent to it, without an answer. */
  async partition(): Promise<void> {
    const chain = (hook: string, way: string) =>
      `add chain inet cut ${hook} { type filter hook ${hook} priority -450; }; add rule inet cut ${hook} ${way} eth0 drop; `;
    await this.exec("nft", `add table inet cut; ${chain("prerouting", "iifname")}${chain("postrouting", "oifname")}`);
  }

  /** Undoes {@linkcode partition}. */
  async heal(): Promise<void> {
    await this.exec("nft", "delete table inet cut");
  }

  /** Resolves when the programs have ended whose node has. */
  async ended(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.exit()));
  }

  async #started(): Promise<void> {
    const deadline = performance.now() + STARTED_MS;
    while (!await answers(this.engineSocket)) {
      if (performance.now() > deadline) {
        throw new Error(
          `the engine of ${this.name} does not answer: ${await docker("logs", "--tail", "20", this.name)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A network of the engine with 256 addresses. */
interface Network {
  readonly name: string;
  /** The first three numbers of its addresses. */
  readonly prefix: string;
  /** The first four numbers of its IPv6 addresses. */
  readonly prefix6: string;
}

/** Makes a network whose addresses are free, of those that are set aside for tests (RFC 2544). */
async function makeNetwork(): Promise<Network> {
  for (let attempt = 1;; attempt++) {
    const [high, low] = crypto.getRandomValues(new Uint8Array(2));
    const prefix = `198.${18 + high! % 2}.${low}`;
    const prefix6 = `fd00:${prefix.replaceAll(".", ":")}`;
    const name = `nodes-${Deno.pid}-${low}`;
    const subnets = ["--subnet", `${prefix}.0/24`, "--ipv6", "--subnet", `${prefix6}::/64`];
    try {
      await docker("network", "create", "--label", label(), ...subnets, name);
      return { name, prefix, prefix6 };
    } catch (error) {
      if (attempt === 10 || !/overlaps|already exists/.test(String(error))) throw error;
    }
  }
}

/** The project, Deno and its cache, as they are on this machine; nodes only read them. */
async function sharedMounts(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], stderr: "null" }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout));
  const folder = ROOT.pathname.replace(/\/$/, "");
  return [
    ...["--volume", `${Deno.execPath()}:/usr/local/bin/deno:ro`],
    ...["--volume", `${folder}:${folder}:ro`],
    ...["--volume", `${denoDir}:${denoDir}:ro`, "--env", `DENO_DIR=${denoDir}`, "--env", "DENO_NO_UPDATE_CHECK=1"],
  ];
}

function label(): string {
  return `${LABEL}=${Deno.pid}`;
}

/** Removes what tests have left behind that were killed. */
async function removeAbandoned(): Promise<void> {
  const list = async (...command: string[]) => {
    const lines = await docker(...command, "--filter", `label=${LABEL}`, "--format", `{{.ID}} {{.Label "${LABEL}"}}`);
    const found = lines.split("\n").filter(Boolean).map((line) => line.split(" ") as [string, string]);
    return found.filter(([, pid]) => !isRunning(pid)).map(([id]) => id);
  };
  // Another test may do the same.
  await remove(await list("ps", "--all"), await list("network", "ls")).catch(() => {});
}

function isRunning(pid: string): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}

async function remove(containers: readonly string[], networks: readonly string[]): Promise<void> {
  if (containers.length > 0) await whileThawing(containers, docker("rm", "--force", "--volumes", ...containers));
  if (networks.length > 0) await docker("network", "rm", ...networks);
}

/**
 * Thaws what is frozen in containers until they have been killed: with control groups of version 1, a process that is
 * frozen does not end, and so its container does not either.
 */
async function whileThawing(containers: readonly string[], killed: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = killed.finally(() => isOver = true);
  over.catch(() => {});
  const ids = await docker("inspect", "--format", "{{.Id}}", ...containers).catch(() => "");
  const folders = ids.split("\n").filter(Boolean).map((id) => `/sys/fs/cgroup/freezer/docker/${id}`);
  const script = 'find "$@" -name freezer.state 2>/dev/null | while read -r file; do echo THAWED >"$file"; done';
  while (!isOver && folders.length > 0) {
    await new Deno.Command("sh", { args: ["-c", script, "sh", ...folders], stdin: "null", stderr: "null" }).output();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await over;
}

/** Whether an engine answers at a socket. */
async function answers(path: string): Promise<boolean> {
  try {
    using conn = await Deno.connect({ transport: "unix", path });
    await conn.write(new TextEncoder().encode("GET /_ping HTTP/1.0\r\n\r\n"));
    const answer = new Uint8Array(1024);
    const length = await conn.read(answer);
    return new TextDecoder().decode(answer.subarray(0, length ?? 0)).includes(" 200 OK");
  } catch {
    return false;
  }
}
