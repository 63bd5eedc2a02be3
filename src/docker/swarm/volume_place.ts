import type { NodeRules } from "../../model/node_rules.ts";
import { isNamed, takesTasks } from "./placement.ts";
import type { SwarmNode } from "./swarm_api.ts";
import type { VolumeRecord } from "./volume_records.ts";

/** What the cless of a machine says of a volume. */
export interface VolumeAnswer {
  readonly nodeId: string;
  /** Unique to the machine's engine. */
  readonly engineId: string;
  /** Whether the volume is there; of a folder, whether containers may use it there. */
  readonly has: boolean;
  /** Why not, to follow "the volume NAME"; missing if it is there. */
  readonly reason?: string | undefined;
}

/** What is known of a volume. */
export interface VolumeFacts {
  /** A named volume, or the path of a folder. */
  readonly source: string;
  readonly service: string;
  /** Where it is on record; missing if nobody has used it yet. */
  readonly record: VolumeRecord | undefined;
  readonly nodes: readonly SwarmNode[];
  readonly answers: readonly VolumeAnswer[];
  /** The ids of the nodes whose cless is not known to be gone, but does not answer. */
  readonly silent: readonly string[];
  /** The ids of the nodes that nobody can ask: they are down, or have no cless. */
  readonly unasked: readonly string[];
  /** Where the service's instances may run. */
  readonly rules: NodeRules;
  /** A machine that is down for longer than this may not come back by itself, ms. */
  readonly patienceMs: number;
  /** Wall-clock time, ms since 1970. */
  readonly nowMs: number;
}

/** Where an instance that needs a volume can run. */
export type VolumePlace =
  /** Only there. */
  | { readonly node: string }
  /** On any machine: none has the volume yet. */
  | { readonly node: undefined }
  /** Nowhere now, since the machine that has it is away. @param isLost Whether it does not come back by itself. */
  | { readonly away: string; readonly isLost: boolean }
  /** Nowhere, by what the operator has said. */
  | { readonly problem: string };

/** Whether a volume is a folder of the host: each machine's own cless says whether containers may use it there. */
export function isFolder(source: string): boolean {
  return source.startsWith("/");
}

/** The node of a volume by its record alone, if it takes the instance; otherwise {@linkcode placeOf} decides. */
export function recordedPlace(
  { nodes, record, rules }: Pick<VolumeFacts, "nodes" | "record" | "rules">,
): string | undefined {
  return nodes.find((node) => node.id === record?.nodeId && takesTasks(rules, node))?.id;
}

/**
 * Decides on which machine an instance with a volume runs. It runs only where the volume is: it never begins with an
 * empty one because its machine is lost, nor with another one of the same name unless the operator names that machine.
 */
export function placeOf(facts: VolumeFacts): VolumePlace {
  const { nodes, record, rules } = facts;
  if (rules.node === undefined) return checked(facts, found(facts));
  const { node: name } = rules;
  const named = nodes.filter((node) => isNamed(name, node));
  // A machine that has joined again is listed twice, first as it was.
  const node = named.find(({ isReady }) => isReady) ?? named[0];
  if (node === undefined) return { problem: `placement names the machine ${name}, which is not in the Swarm` };
  return checked(facts, node.id === record?.nodeId ? found(facts) : atNamed(facts, node));
}

/** Why the machine of a volume is away, and what to do. */
export interface Absence {
  readonly fact: string;
  readonly remedy: string;
  /** Whether it does not come back by itself. */
  readonly isLost: boolean;
}

/** Whether the machine that has a volume on record is away; `undefined` if it takes instances. */
export function absenceOf(
  { nodes, nowMs, patienceMs, record, service, source }: Pick<
    VolumeFacts,
    "nodes" | "nowMs" | "patienceMs" | "record" | "service" | "source"
  >,
): Absence | undefined {
  if (record === undefined) return undefined;
  const elsewhere = `bring its data to another machine, and name that one: cless deploy ${service} --node MACHINE`;
  if (record.nodeId === "") {
    const fact = `the volume ${source} was in use before, and no machine of the Swarm has it`;
    return { fact, remedy: `let the one that has it join, or ${elsewhere}`, isLost: true };
  }
  const node = nodes.find(({ id }) => id === record.nodeId);
  const where = `the volume ${source} is on the machine ${node?.hostname ?? nameIn(record)} (${record.nodeId}), which`;
  if (node === undefined) {
    return { fact: `${where} is not in the Swarm`, remedy: `let it join again, or ${elsewhere}`, isLost: true };
  }
  const { availability, changedAt, hostname, id, isReady } = node;
  if (!isReady) {
    const since = changedAt === undefined ? "" : ` since ${new Date(changedAt).toISOString().replace(/\.\d+/, "")}`;
    return {
      fact: `${where} is down${since}`,
      remedy: `start it; if it is gone for good, docker node rm ${id}, then ${elsewhere}`,
      isLost: changedAt !== undefined && nowMs - changedAt > patienceMs,
    };
  }
  if (availability === "active") return undefined;
  return {
    fact: `${where} takes no instances while it is ${availability === "drain" ? "drained" : "paused"}`,
    remedy: `docker node update --availability active ${hostname}`,
    isLost: true,
  };
}

/** Where a volume is on record, or where it is found. */
function found(facts: VolumeFacts): VolumePlace {
  const { answers, nodes, record, silent, source } = facts;
  const having = answers.filter(({ has }) => has);
  if (record !== undefined && record.nodeId !== "") {
    const { engineId, nodeId } = record;
    if (nodes.some(({ id, isReady }) => id === nodeId && isReady)) return { node: nodeId };
    const again = answers.filter((answer) => engineId !== "" && answer.engineId === engineId);
    const [one, ...others] = again.filter(({ has }) => has);
    if (one !== undefined && others.length === 0) return { node: one.nodeId };
    if (one !== undefined) return several(facts, again.filter(({ has }) => has));
    const name = again.map(({ nodeId }) => nameOf(nodes, nodeId)).join(" and ");
    if (again.length > 0) {
      return {
        away: `the machine ${name} has joined again without the volume ${source}: ${remake(facts, name)}`,
        isLost: true,
      };
    }
    return awayBy(absenceOf(facts)!);
  }
  const [one, ...others] = having;
  if (others.length > 0) return several(facts, having);
  if (one !== undefined) return { node: one.nodeId };
  if (silent.length > 0) return unknown(facts, silent);
  const absence = absenceOf(facts);
  if (absence !== undefined) return awayBy(absence);
  if (isFolder(source)) return nowhere(facts);
  return facts.unasked.length > 0 ? unasked(facts) : { node: undefined };
}

/** On the machine that the operator has named, which is not the one on record. */
function atNamed(facts: VolumeFacts, named: SwarmNode): VolumePlace {
  const { answers, nodes, record, silent, source } = facts;
  const answer = answers.find(({ nodeId }) => nodeId === named.id);
  if (answer?.has || (answer !== undefined && isFolder(source))) return { node: named.id };
  if (silent.includes(named.id)) return unknown(facts, [named.id]);
  const having = answers.filter(({ has }) => has).map(({ nodeId }) => nodeId);
  const isNowhere = record === undefined ||
    answers.some(({ has, nodeId }) => nodeId === record.nodeId && !has); // it was never made there
  if (having.length === 0 && isNowhere) return silent.length > 0 ? unknown(facts, silent) : { node: named.id };
  const where = having.map((id) => nameOf(nodes, id)).join(" and ") || nameIn(record!) || "another machine";
  const problem = `the volume ${source} is on ${where}, and placement names ${named.hostname}, which does not have it`;
  return { problem: `${problem}: ${remake(facts, named.hostname)}, or name the other` };
}

/** A place, if its machine takes the instance. */
function checked(facts: VolumeFacts, place: VolumePlace): VolumePlace {
  const { answers, nodes, rules, silent, source } = facts;
  if (!("node" in place) || place.node === undefined) return place;
  const { node: id } = place;
  const node = nodes.find((node) => node.id === id);
  const record = { nodeId: id, hostname: node?.hostname ?? "", engineId: "", former: [] };
  const absence = absenceOf({ ...facts, record });
  if (absence !== undefined) return awayBy(absence);
  const { hostname } = node!;
  const { node: _, ...others } = rules;
  if (!takesTasks(others, node!)) {
    return { problem: `the volume ${source} is on the machine ${hostname}, which placement does not admit` };
  }
  if (!isFolder(source)) return place;
  if (silent.includes(id)) return unknown(facts, [id]);
  const { has, reason } = answers.find(({ nodeId }) => nodeId === id) ??
    { has: false, reason: "is allowed by nobody, since no cless runs there" };
  return has ? place : { problem: `on the machine ${hostname}, the volume ${source} ${reason}` };
}

function awayBy({ fact, isLost, remedy }: Absence): VolumePlace {
  return { away: `${fact}: ${remedy}`, isLost };
}

function several({ nodes, service, source }: VolumeFacts, having: readonly VolumeAnswer[]): VolumePlace {
  const names = having.map(({ nodeId }) => nameOf(nodes, nodeId)).sort().join(" and ");
  return {
    problem:
      `the machines ${names} each have a volume ${source}: name the right one with cless deploy ${service} --node MACHINE`,
  };
}

function unknown({ nodes, source }: VolumeFacts, silent: readonly string[]): VolumePlace {
  const names = silent.map((id) => nameOf(nodes, id)).sort().join(" and ");
  return { away: `the cless of ${names} does not answer, and may have the volume ${source}`, isLost: false };
}

/** No machine that was asked has the volume, but one that could not be asked may have it. */
function unasked({ nodes, nowMs, patienceMs, service, source, unasked }: VolumeFacts): VolumePlace {
  const all = nodes.filter(({ id }) => unasked.includes(id));
  const names = all.map(({ hostname, id, isReady }) =>
    `${hostname || id} (${isReady ? "on which no cless runs" : "which is down"})`
  ).sort();
  const [have, them] = all.length === 1 ? ["has", "it"] : ["have", "them"];
  return {
    away:
      `whether ${names.join(" and ")} ${have} the volume ${source} is not known: start ${them}, or name the machine ` +
      `that has it, or is to get it: cless deploy ${service} --node MACHINE`,
    isLost: all.some(({ changedAt, isReady }) => !isReady && changedAt !== undefined && nowMs - changedAt > patienceMs),
  };
}

/** A folder that no machine allows. */
function nowhere({ answers, nodes, source }: VolumeFacts): VolumePlace {
  const reasons = answers.map(({ nodeId, reason }) => `on ${nameOf(nodes, nodeId)}, it ${reason}`);
  return { problem: `no machine has the volume ${source}: ${reasons.join("; ")}` };
}

/** How to make a volume anew on a machine. */
function remake({ source }: VolumeFacts, name: string): string {
  if (isFolder(source)) return `make it on ${name}, with --allow-host-path there`;
  return `docker volume create ${source} on ${name} makes an empty one, for you to bring the data to`;
}

function nameOf(nodes: readonly SwarmNode[], id: string): string {
  return nodes.find((node) => node.id === id)?.hostname || id;
}

function nameIn({ hostname, nodeId }: VolumeRecord): string {
  return hostname || nodeId;
}
