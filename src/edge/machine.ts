import { dirname } from "node:path";
import { removeIfThere, writeAtomically } from "../base/atomic_file.ts";
import { OperatorError } from "../base/errors.ts";
import { absolutePathOf, findCaddy, validate } from "./caddy.ts";
import { caddyfileOf, type Wiring } from "./caddyfile.ts";
import { CLESS_UNIT, EDGE_UNIT, type Places, placesBelow } from "./places.ts";
import type { EdgePorts, MachineState } from "./plan.ts";
import { firstFree, listenerOn } from "./ports.ts";
import type { EdgeSettings } from "./settings.ts";
import { readEnv } from "./units.ts";

const decoder = new TextDecoder();
/** cless listens on the first free one of these. */
const FIRST_PORT = 8080;
const PORTS = 100;
/** Everybody may read what the edge consists of; there is no secret in it. */
const FILE_MODE = 0o644;

/** The machine whose edge is switched on or off. */
export class Machine {
  readonly places: Places;
  /** Whether this process may change it. */
  readonly isRoot: boolean;
  readonly #searchPath: string;

  /** @param root Empty, or another folder for the root of the machine. @param searchPath The value of `PATH`. */
  constructor(isRoot: boolean, searchPath: string, root = "") {
    this.places = placesBelow(root);
    this.isRoot = isRoot;
    this.#searchPath = searchPath;
  }

  /** Looks at all that a plan depends on. @param caddy The name or path of Caddy. */
  async look(caddy: string, ports: EdgePorts): Promise<MachineState> {
    const { places } = this;
    const hasSystemd = await this.hasSystemd();
    const installed = await Promise.all(places.clessUnits.map(isThere));
    const ours = [places.caddyfile, places.clessEnv, places.dropIn, places.unit];
    const files = new Map(await Promise.all(ours.map(async (path) => [path, await textOf(path)] as const)));
    return {
      isRoot: this.isRoot,
      hasSystemd,
      isInstalled: installed.includes(true),
      command: hasSystemd ? await this.show(CLESS_UNIT, "ExecStart") : "",
      caddy: await findCaddy(caddy, this.#searchPath),
      listeners: await this.#foreignListeners(Object.values(ports), hasSystemd),
      files,
      userEnv: readEnv(await textOf(places.userEnv) ?? ""),
      edgeEnv: readEnv(files.get(places.clessEnv) ?? ""),
      freePort: firstFree(FIRST_PORT, PORTS),
    };
  }

  /** Whether systemd runs it: sd_booted(3). */
  hasSystemd(): Promise<boolean> {
    return isThere(this.places.systemd);
  }

  async #foreignListeners(ports: readonly number[], hasSystemd: boolean) {
    const units = hasSystemd ? [CLESS_UNIT, EDGE_UNIT] : [];
    const own = await Promise.all(units.map((unit) => this.show(unit, "MainPID")));
    const listeners = await Promise.all(ports.map((port) => listenerOn(port)));
    return listeners.filter((listener) => listener !== undefined)
      .filter(({ pid, unit }) => !own.includes(String(pid)) && unit !== CLESS_UNIT && unit !== EDGE_UNIT);
  }

  /** What Caddy finds wrong with its configuration; `undefined` if nothing. Nothing stays on the disk. */
  async validate(caddy: string, settings: EdgeSettings, wiring: Wiring): Promise<string | undefined> {
    const folder = await Deno.makeTempDir({ prefix: "cless-edge-" });
    try {
      const file = `${folder}/Caddyfile`;
      await Deno.writeTextFile(file, caddyfileOf(settings, { ...wiring, storage: folder, socket: `${folder}/sock` }));
      const env = readEnv(await textOf(this.places.caddyEnv) ?? "");
      return await validate(caddy, file, { ...env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Writes a file, and makes the folders above it. @param content Without it, the file is removed. */
  write(path: string, content: string | undefined): void {
    if (content === undefined) return this.remove(path);
    Deno.mkdirSync(dirname(path), { recursive: true });
    writeAtomically(path, content, { mode: FILE_MODE });
  }

  /** Removes a file, and its folder if that is empty then. */
  remove(path: string): void {
    removeIfThere(path);
    removeIfThere(dirname(path)); // fails if there is something else in it
  }

  /** Has systemd do something. @throws {OperatorError} If it fails. */
  async systemctl(...args: readonly string[]): Promise<void> {
    const { success, stderr } = await this.#run(args);
    if (success) return;
    const [first = ""] = stderr.trim().split("\n");
    const unit = args.find((arg) => arg.endsWith(".service"));
    const more = unit === undefined ? "" : ` (journalctl -u ${unit} says more)`;
    throw new OperatorError(`systemctl ${args.join(" ")} failed: ${first || "it does not say why"}${more}`);
  }

  /** A property of a unit; empty if systemd does not tell. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.#run(["show", `--property=${property}`, "--value", unit])).stdout.trim();
  }

  async #run(args: readonly string[]) {
    const systemctl = await absolutePathOf("systemctl", this.#searchPath);
    if (systemctl === undefined) return { success: false, stdout: "", stderr: "there is no systemctl" };
    // Not in the present folder, which this user may not be allowed to enter.
    const command = new Deno.Command(systemctl, { args: [...args], cwd: "/", stdin: "null" });
    const { success, stdout, stderr } = await command.output();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** The content of a file; `undefined` if there is none that can be read. */
async function textOf(path: string): Promise<string | undefined> {
  return await Deno.readTextFile(path).catch(() => undefined);
}
