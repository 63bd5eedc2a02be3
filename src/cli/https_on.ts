import { systemClock } from "../base/clock.ts";
import { type DnsRecords, dnsWarnings, lookUp, type Resolver, systemResolver } from "../edge/dns.ts";
import { Machine } from "../edge/machine.ts";
import { changedLines, type EdgePorts } from "../edge/plan.ts";
import { type Proof, type ProofRequest, prove } from "../edge/proof.ts";
import { type EdgeSettings, parsePlainPath } from "../edge/settings.ts";
import { type Proposal, propose, turnOff, turnOn, writtenFiles } from "../edge/switch.ts";
import { defined } from "../model/defined.ts";
import { formatEndpoint } from "../model/host.ts";
import { dayOf } from "../model/time.ts";
import { settingsOf } from "./https_settings.ts";
import { indented } from "./text.ts";
import type { Call } from "./verb.ts";

/** The machine that `cless https on` changes, its ports, and the DNS that is asked about it. */
export interface EdgeTarget {
  readonly machine: Machine;
  readonly ports: EdgePorts;
  readonly resolve: Resolver;
}

/** This machine. Browsers and authorities look at no other ports. */
function thisMachine(call: Call): EdgeTarget {
  return { machine: machineOf(call), ports: { http: 80, https: 443 }, resolve: systemResolver };
}

const NEEDS_ROOT = "this needs root: run it with sudo";

/** The machine that this program runs on. */
export function machineOf({ surroundings }: Call): Machine {
  return new Machine(surroundings.root, surroundings.env("PATH") ?? "");
}

/** `cless https on`. Returns the exit code. */
export async function switchOn(call: Call, { machine, ports, resolve } = thisMachine(call)): Promise<number> {
  const settings = await settingsOf(call);
  const proposal = await propose(machine, settings, call.read("caddy", parsePlainPath)[0] ?? "caddy", ports);
  if (call.on("dry-run")) {
    console.log(planText(proposal));
    return complain(proposal.faults);
  }
  const faults = proposal.found.isRoot ? proposal.faults : [NEEDS_ROOT];
  if (faults.length > 0) return complain([...faults, "nothing was changed"]);

  const records = await lookUp(settings.domain, resolve);
  const own = Deno.networkInterfaces().map(({ address }) => address);
  for (const warning of dnsWarnings(settings.domain, records, own)) console.error(`warning: ${warning}`);
  console.log(changesText(proposal));
  const began = Date.now();
  await turnOn(machine, proposal);
  const { upstream } = proposal.plan.wiring;
  console.log(`cless listens on ${formatEndpoint(upstream)}, and Caddy on the ports ${ports.http} and ${ports.https}`);

  const request = await proofRequestOf(settings, records, machine, ports);
  const url = `https://${request.hostname}${request.path}`;
  const proof = await prove(request, systemClock, began);
  if (typeof proof === "string") {
    return complain([
      `${url} does not work yet: ${proof}`,
      "HTTPS stays on, and Caddy tries again: cless https status",
    ]);
  }
  console.log(proofText(url, proof));
  return 0;
}

/** `cless https off`. Returns the exit code. */
export async function switchOff(call: Call, machine = machineOf(call)): Promise<number> {
  const written = await writtenFiles(machine);
  if (written.length === 0) {
    console.log("HTTPS is not on");
    return 0;
  }
  const verb = call.on("dry-run") ? "would remove" : "removed";
  if (!call.on("dry-run")) {
    if (!machine.isRoot) return complain([NEEDS_ROOT]);
    await turnOff(machine, written);
  }
  console.log([
    ...written.map((path) => `${verb} ${path}`),
    `left in place: ${machine.places.storage} with the certificates`,
    ...call.on("dry-run") ? [] : [`cless listens where ${machine.places.userEnv} says, or on port 80, without HTTPS`],
  ].join("\n"));
  return 0;
}

/** Prints what is wrong. Returns the exit code. */
function complain(faults: readonly string[]): number {
  for (const fault of faults) console.error(`cless: ${fault}`);
  return faults.length > 0 ? 1 : 0;
}

/** All that would be written and done. */
function planText({ plan }: Proposal): string {
  return [
    ...[...plan.files].map(([path, text]) => `# ${path}\n${indented(text)}`),
    ...plan.commands.map((command) => `# systemctl ${command.join(" ")}`),
  ].join("\n");
}

/** What is written, and how files that are there change. */
function changesText({ found, plan }: Proposal): string {
  const lines = [...plan.files].flatMap(([path, text]) => {
    const before = found.files.get(path);
    if (before === undefined) return [`writes ${path}`];
    return before === text ? [] : [`changes ${path}`, ...changedLines(before, text).map((line) => indented(line))];
  });
  return lines.length > 0 ? lines.join("\n") : "nothing changes in the files";
}

/** What proves that HTTPS works: the admin host, which is always there, if DNS leads names below the domain here. */
async function proofRequestOf(
  { acmeRoot, domain, own }: EdgeSettings,
  records: DnsRecords | string,
  { places }: Machine,
  { https }: EdgePorts,
): Promise<ProofRequest> {
  const isBaseOnly = own === undefined && typeof records !== "string" && records.below.length === 0;
  return defined({
    hostname: isBaseOnly ? domain : `admin.${domain}`,
    path: isBaseOnly ? "/" : "/healthz",
    port: https,
    storage: places.storage,
    root: acmeRoot === undefined ? undefined : await Deno.readTextFile(acmeRoot),
  });
}

function proofText(url: string, { certificate, isTrusted, status }: Proof): string {
  const until = dayOf(certificate.endsAt);
  const trust = isTrusted ? "" : "; this machine does not trust it, and browsers may not either";
  return `${url} answers ${status}, with a certificate of ${certificate.authority} until ${until}${trust}`;
}
