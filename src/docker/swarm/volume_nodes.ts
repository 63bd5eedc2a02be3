import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Revision } from "../../model/revision.ts";
import type { Volume } from "../../model/template.ts";
import { VolumeAway } from "../../pool/launcher.ts";
import { EngineError } from "../engine_error.ts";
import type { PeerAnswer, Peers } from "./instance_messages.ts";
import type { SwarmApi, SwarmNode } from "./swarm_api.ts";
import { absenceOf, isFolder, placeOf, recordedPlace, type VolumeAnswer, type VolumeFacts } from "./volume_place.ts";
import { type ReadRecord, type VolumeRecord, VolumeRecords } from "./volume_records.ts";

const log = logger("volumes");
/** The cless of another machine gets this long to say whether it has a volume. */
const ANSWER_MS = 2000;
/** So often the records are read again because another cless has written them meanwhile. */
const MAX_TRIES = 5;

/** What of this node is asked for its volumes. */
export interface NodeVolumes {
  /** The id of this node. */
  readonly nodeId: string;
  /** Whether there is a named volume. */
  hasVolume(name: string): Promise<boolean>;
  info(): Promise<{ readonly id: string }>;
  /** Why containers may not use a folder; `undefined` if they may. */
  folderProblem(path: string): Promise<string | undefined>;
}

/** What a {@linkcode VolumeNodes} is made of. */
export interface VolumeNodesParts {
  readonly swarm: Pick<SwarmApi, "config" | "configs" | "createConfig" | "nodes" | "setConfigLabels">;
  readonly owner: string;
  readonly peers: Peers;
  readonly here: NodeVolumes;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** Where a volume is, for operators. */
export interface VolumeSeen {
  readonly source: string;
  /** The machine's hostname. */
  readonly node: string;
  /** Why it is of no use now; missing if it is. */
  readonly problem?: string;
}

/** A volume, with where it is to be. */
interface Placed {
  readonly source: string;
  readonly record: ReadRecord | undefined;
  readonly answers: readonly VolumeAnswer[];
  /** The id of its node; `undefined` if any will do. */
  readonly node: string | undefined;
}

/**
 * Knows which machine has a volume: the first start of a service with it decides, and each cless reads that in the Swarm's
 * store. From then on the service runs there. The record follows a machine that has joined the Swarm again, and the
 * operator who names another machine that has the volume.
 */
export class VolumeNodes {
  readonly #parts: VolumeNodesParts;
  readonly #records: VolumeRecords;
  /** The nodes that are machines of the Swarm under another id now. */
  readonly #former = new Set<string>();

  constructor(parts: VolumeNodesParts) {
    this.#parts = parts;
    this.#records = new VolumeRecords(parts.swarm, parts.owner);
  }

  /**
   * The nodes on which something may run: without those that are down since their machines are other nodes of the Swarm
   * now. @throws {EngineError}
   */
  async nodes(): Promise<SwarmNode[]> {
    return (await this.#parts.swarm.nodes()).filter(({ id, isReady }) => isReady || !this.#former.has(id));
  }

  /**
   * The node on which a revision runs because its volumes are there; `undefined` if it has none.
   *
   * @param otherwise The node that gets those that no node has yet; `undefined` if none takes the revision.
   * @throws {VolumeAway} If the machine that has them is away.
   * @throws {EngineError} `refused` if what the operator has said contradicts where they are.
   */
  async nodeOf(
    revision: Pick<Revision, "placement" | "service" | "startTimeoutMs" | "volumes">,
    nodes: readonly SwarmNode[],
    otherwise: string | undefined,
  ): Promise<string | undefined> {
    const { volumes } = revision;
    if (volumes.length === 0) return undefined;
    for (let tries = 1;; tries++) {
      const placed = await Promise.all(volumes.map(({ source }) => this.#place(source, revision, nodes)));
      const bound = placed.find(({ node }) => node !== undefined)?.node ?? otherwise;
      if (placed.some(({ node }) => node !== undefined && node !== bound)) {
        const where = placed.flatMap(({ node, source }) =>
          node === undefined ? [] : `${source} on ${nameOf(nodes, node)}`
        );
        throw new EngineError("refused", `its volumes are on different machines: ${where.join(", ")}`);
      }
      if (bound === undefined) return undefined;
      const written = await Promise.all(placed.map((one) => this.#record(one, bound, nodes)));
      if (!written.includes(false)) return bound;
      if (tries >= MAX_TRIES) throw new EngineError("refused", "another cless places its volumes at the same time");
    }
  }

  /** Where the volumes of a service are, as far as that is on record, for operators. Never rejects. */
  async seen(service: string, volumes: readonly Volume[]): Promise<VolumeSeen[]> {
    if (volumes.length === 0) return [];
    try {
      return await this.#seen(service, volumes);
    } catch (error) {
      log.debug("cannot read where volumes are", { service, reason: messageOf(error) });
      return [];
    }
  }

  /** What this cless answers to another one that looks for a volume. */
  async answer(source: string): Promise<PeerAnswer> {
    const { has, engineId, reason } = await this.#answerHere(source);
    return { ok: has, engineId, ...(reason === undefined ? {} : { reason }) };
  }

  async #seen(service: string, volumes: readonly Volume[]): Promise<VolumeSeen[]> {
    const [nodes, ...records] = await Promise.all([
      this.#parts.swarm.nodes(),
      ...volumes.map(({ source }) => this.#records.read(source)),
    ]);
    return volumes.flatMap(({ source }, at) => {
      const record = records[at];
      if (record === undefined || record.nodeId === "") return [];
      const absence = absenceOf({ service, source, nodes, record, patienceMs: 0, nowMs: this.#parts.now() });
      const node = nodes.find(({ id }) => id === record.nodeId)?.hostname ?? (record.hostname || record.nodeId);
      return { source, node, ...(absence === undefined ? {} : { problem: `${absence.fact}: ${absence.remedy}` }) };
    });
  }

  async #place(
    source: string,
    { placement: rules = {}, service, startTimeoutMs: patienceMs }: Parameters<VolumeNodes["nodeOf"]>[0],
    nodes: readonly SwarmNode[],
  ): Promise<Placed> {
    const record = await this.#records.read(source);
    for (const id of record?.former ?? []) this.#former.add(id);
    const node = recordedPlace({ nodes, record, rules });
    if (node !== undefined && !isFolder(source)) return { source, record, node, answers: [] };
    const { answers, silent } = await this.#ask(
      source,
      nodes.filter(({ id, isReady }) => isReady && id === (node ?? id)),
    );
    const place = placeOf({
      ...{ answers, nodes, record, rules, service, silent, source, patienceMs, unasked: this.#unasked(nodes) },
      nowMs: this.#parts.now(),
    });
    if ("problem" in place) throw new EngineError("refused", place.problem);
    if ("away" in place) throw new VolumeAway(place.away, { isLost: place.isLost });
    return { source, record, answers, node: place.node };
  }

  /** Asks those of some machines on which cless runs for a volume. */
  async #ask(source: string, nodes: readonly SwarmNode[]): Promise<Pick<VolumeFacts, "answers" | "silent">> {
    const { here, peers } = this.#parts;
    const asked = nodes.map(({ id }) => id).filter((id) => peers.live.includes(id));
    const answers = await Promise.all(asked.map(async (nodeId): Promise<VolumeAnswer | undefined> => {
      if (nodeId === here.nodeId) return await this.#answerHere(source);
      try {
        const { engineId, ok, reason } = await peers.ask(nodeId, { hasVolume: source }, { timeoutMs: ANSWER_MS });
        return engineId === undefined ? undefined : { nodeId, engineId, has: ok, reason };
      } catch (error) {
        log.debug("another cless does not say whether it has a volume", { node: nodeId, reason: messageOf(error) });
        return undefined;
      }
    }));
    return {
      answers: answers.filter((answer) => answer !== undefined),
      silent: asked.filter((_, at) => answers[at] === undefined),
    };
  }

  /** The nodes that nobody can ask: they are down, or have no cless. Without those that are other nodes by now. */
  #unasked(nodes: readonly SwarmNode[]): string[] {
    const { live } = this.#parts.peers;
    return nodes.filter((node) =>
      node.isReady
        ? !live.includes(node.id)
        : !this.#former.has(node.id) && !nodes.some((other) => other.isReady && isSameMachine(node, other))
    ).map(({ id }) => id);
  }

  async #answerHere(source: string): Promise<VolumeAnswer> {
    const { here } = this.#parts;
    const [{ id: engineId }, reason] = await Promise.all([
      here.info(),
      isFolder(source)
        ? here.folderProblem(source)
        : here.hasVolume(source).then((has) => has ? undefined : "is not there"),
    ]);
    return { nodeId: here.nodeId, engineId, has: reason === undefined, reason };
  }

  /** Records where a volume is from now on. Resolves with false if another cless has written the record meanwhile. */
  async #record({ answers, record, source }: Placed, nodeId: string, nodes: readonly SwarmNode[]): Promise<boolean> {
    if (record?.nodeId === nodeId) return true;
    const engineId = answers.find((answer) => answer.nodeId === nodeId)?.engineId ?? "";
    const isSame = record !== undefined && record.engineId !== "" && record.engineId === engineId;
    const next: VolumeRecord = {
      ...{ nodeId, engineId, hostname: nameOf(nodes, nodeId) },
      former: isSame ? [...record.former, record.nodeId] : [],
    };
    if (!await this.#records.write(source, next, record)) return false;
    for (const id of next.former) this.#former.add(id);
    if (record !== undefined && record.nodeId !== "") {
      log.warning("a volume is on another node from now on", {
        ...{ volume: source, machine: next.hostname, node: nodeId, before: record.nodeId },
      });
    }
    return true;
  }
}

/** Whether two nodes are one machine that has joined the Swarm again. */
function isSameMachine(one: SwarmNode, other: SwarmNode): boolean {
  return one.address !== "" && one.address === other.address && one.hostname === other.hostname;
}

function nameOf(nodes: readonly SwarmNode[], id: string): string {
  return nodes.find((node) => node.id === id)?.hostname || id;
}
