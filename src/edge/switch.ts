import { messageOf, OperatorError } from "../base/errors.ts";
import type { Machine } from "./machine.ts";
import { CLESS_UNIT, EDGE_UNIT, isMarked } from "./places.ts";
import { type EdgePorts, faultsOf, type MachineState, type Plan, planEdge } from "./plan.ts";
import type { EdgeSettings } from "./settings.ts";

/** What an edge that is to be on would change, and what keeps it from that. */
export interface Proposal {
  readonly found: MachineState;
  readonly plan: Plan;
  readonly faults: readonly string[];
}

/** Looks at the machine, and changes nothing. @param caddy The name or path of Caddy. */
export async function propose(
  machine: Machine,
  settings: EdgeSettings,
  caddy: string,
  ports: EdgePorts,
): Promise<Proposal> {
  const found = await machine.look(caddy, ports);
  const plan = planEdge(settings, ports, found, machine.places);
  const faults = faultsOf(found, ports, machine.places);
  if (typeof found.caddy !== "string") {
    const problem = await machine.validate(found.caddy.path, settings, plan.wiring);
    if (problem !== undefined) faults.push(`Caddy does not accept the configuration: ${problem}`);
  }
  return { found, plan, faults };
}

/**
 * Switches the edge on. If a step fails, all is as before.
 *
 * @throws {OperatorError} If a step fails.
 */
export async function turnOn(machine: Machine, { found, plan }: Proposal): Promise<void> {
  try {
    for (const [path, content] of plan.files) {
      if (found.files.get(path) !== content) machine.write(path, content);
    }
    for (const command of plan.commands) await carryOut(machine, command);
  } catch (error) {
    await takeBack(machine, found);
    throw new OperatorError(`${messageOf(error)}; everything is as before`);
  }
}

/** A cless that is too old to be taken over from is restarted. */
async function carryOut(machine: Machine, command: readonly string[]): Promise<void> {
  const [verb, unit = ""] = command;
  if (verb !== "reload-or-restart") return await machine.systemctl(...command);
  await machine.systemctl(...command).catch(() => machine.systemctl("restart", unit));
}

/** Makes all as it was found. What cannot be undone is left, since the first failure says more. */
async function takeBack(machine: Machine, { files }: MachineState): Promise<void> {
  const wasOn = files.get(machine.places.unit) !== undefined;
  const attempt = async (...command: string[]) => await carryOut(machine, command).catch(() => {});
  if (!wasOn) await attempt("disable", "--now", EDGE_UNIT);
  for (const [path, content] of files) {
    try {
      machine.write(path, content);
    } catch {
      // The disk may be full.
    }
  }
  await attempt("daemon-reload");
  await attempt("reload-or-restart", CLESS_UNIT);
  if (wasOn) await attempt("restart", EDGE_UNIT);
}

/** What there is of an edge: the files that cless has written. */
export async function writtenFiles(machine: Machine): Promise<string[]> {
  const { caddyfile, clessEnv, dropIn, unit } = machine.places;
  const written: string[] = [];
  for (const path of [unit, dropIn, clessEnv, caddyfile]) {
    const text = await Deno.readTextFile(path).catch(() => "");
    if (isMarked(text)) written.push(path);
  }
  return written;
}

/** Switches the edge off. cless then listens where the operator's own settings say. @param written What to remove. */
export async function turnOff(machine: Machine, written: readonly string[]): Promise<void> {
  const { unit } = machine.places;
  if (written.includes(unit)) await machine.systemctl("disable", "--now", EDGE_UNIT);
  for (const path of written) machine.remove(path);
  await machine.systemctl("daemon-reload");
  if (await machine.show(CLESS_UNIT, "ActiveState") === "active") {
    await carryOut(machine, ["reload-or-restart", CLESS_UNIT]);
  }
}
