import type { Container } from "../../pool/launcher.ts";
import { LABEL } from "../container_spec.ts";
import type { LeavingTask, SwarmConfig, SwarmEvent, SwarmInfo, SwarmNode, SwarmTask } from "./swarm_api.ts";

// The parts of Swarm's JSON that cless uses.

const NANO = 1e9;
/** Swarm's words for a task that has ended. */
const ENDED = ["complete", "failed", "rejected", "shutdown", "orphaned", "remove"];

type Labels = Readonly<Record<string, string>>;

/** `GET /info` */
export interface ApiInfo {
  readonly Swarm?: {
    readonly NodeID?: string;
    readonly NodeAddr?: string;
    readonly ControlAvailable?: boolean;
  };
}

/** `GET /nodes` */
export interface ApiNode {
  readonly ID: string;
  readonly UpdatedAt?: string;
  readonly Spec: { readonly Role: string; readonly Availability: string; readonly Labels?: Labels | null };
  readonly Description?: {
    readonly Hostname?: string;
    readonly Resources?: { readonly NanoCPUs?: number; readonly MemoryBytes?: number };
    readonly Engine?: { readonly EngineVersion?: string };
  };
  readonly Status: { readonly State: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Addr?: string };
}

/** `GET /services` */
export interface ApiService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt?: string;
  readonly Spec: { readonly Name: string; readonly Labels?: Labels | null };
}

/** `GET /tasks` */
export interface ApiTask {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly DesiredState?: string;
  readonly Spec?: { readonly ContainerSpec?: { readonly Labels?: Labels | null } };
  readonly Status: {
    readonly State: string;
    readonly Timestamp?: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ExitCode?: number };
    readonly PortStatus?: { readonly Ports?: readonly { readonly PublishedPort?: number }[] };
  };
}

/** `GET /configs` */
export interface ApiConfig {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly Labels?: Labels | null; readonly Data?: string };
}

/** `GET /events` */
export interface ApiEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Labels };
  readonly timeNano?: number;
}

export function infoOf({ Swarm }: ApiInfo): SwarmInfo {
  return {
    nodeId: Swarm?.NodeID ?? "",
    nodeAddress: Swarm?.NodeAddr ?? "",
    isManager: Swarm?.ControlAvailable ?? false,
  };
}

/**
 * Whether Swarm hears from a node whose state it calls so. After a change of the leader, all nodes are "unknown" until it
 * hears from them, which takes some seconds.
 */
export function isReady(state: string): boolean {
  return state !== "down" && state !== "disconnected";
}

export function nodeOf({ Description, ID, ManagerStatus, Spec, Status, UpdatedAt }: ApiNode): SwarmNode {
  const { Engine, Hostname = "", Resources } = Description ?? {};
  // Of a manager that was made with `--advertise-addr`, the status may have only the address that the leader sees.
  const managed = ManagerStatus?.Addr?.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const address = Status.Addr ?? "";
  return {
    id: ID,
    hostname: Hostname,
    address: managed !== undefined && ["", "0.0.0.0", "127.0.0.1"].includes(address) ? managed : address,
    role: Spec.Role === "manager" ? "manager" : "worker",
    isLeader: ManagerStatus?.Leader ?? false,
    isReady: isReady(Status.State),
    ...(Status.State === "unknown" ? { isAwaited: true } : {}),
    ...(UpdatedAt === undefined ? {} : { changedAt: Date.parse(UpdatedAt) }),
    availability: Spec.Availability === "drain" || Spec.Availability === "pause" ? Spec.Availability : "active",
    labels: Spec.Labels ?? {},
    engineVersion: Engine?.EngineVersion ?? "",
    memoryBytes: Resources?.MemoryBytes ?? 0,
    cpus: (Resources?.NanoCPUs ?? 0) / NANO,
  };
}

/** @param task Missing if Swarm has not made one yet. */
export function taskOf({ CreatedAt = "", ID, Spec }: ApiService, task: ApiTask | undefined): SwarmTask {
  const { ContainerStatus, Err, Message, PortStatus, State = "new", Timestamp } = task?.Status ?? {};
  const port = PortStatus?.Ports?.find(({ PublishedPort = 0 }) => PublishedPort > 0)?.PublishedPort;
  return {
    serviceId: ID,
    name: Spec.Name,
    order: `${comparable(CreatedAt)} ${ID}`, // its version is no order: Swarm changes each service after its creation
    labels: Spec.Labels ?? {},
    state: State,
    nodeId: task?.NodeID || undefined,
    publishedPort: port,
    error: Err || (ENDED.includes(State) ? Message : undefined) || undefined,
    exitCode: ENDED.includes(State) && State !== "rejected" ? ContainerStatus?.ExitCode : undefined,
    startedAt: State === "running" && Timestamp !== undefined ? Date.parse(Timestamp) : undefined,
  };
}

/** A time of Swarm with all its nine decimals: it leaves out the zeros at their end. */
function comparable(time: string): string {
  const [seconds, decimals = ""] = time.replace(/Z$/, "").split(".");
  return `${seconds}.${decimals.padEnd(9, "0")}`;
}

/** A task as pools see it. */
export function containerOf(
  { labels, name, startedAt }: SwarmTask,
  seen: Pick<Container, "isOurs" | "origin" | "state">,
): Container {
  return {
    ...seen,
    id: name,
    service: labels[LABEL.service] ?? "",
    revision: labels[LABEL.revision] ?? "",
    imageId: labels[LABEL.image] ?? "",
    upFor: startedAt === undefined ? undefined : Math.max(0, Date.now() - startedAt),
  };
}

/** Those of the tasks that have not ended yet, though their services have been removed. */
export function leavingOf(tasks: readonly ApiTask[]): LeavingTask[] {
  return tasks.filter(({ DesiredState, Status }) => DesiredState === "remove" && !isOver({ state: Status.State }))
    .map(({ NodeID, Spec }) => ({ labels: Spec?.ContainerSpec?.Labels ?? {}, nodeId: NodeID || undefined }));
}

/**
 * Whether nothing of a task runs any more, for certain. A day after its node was lost, Swarm calls a task orphaned,
 * though its container may still run behind a cable that is cut, say.
 */
export function isOver({ state }: Pick<SwarmTask, "state">): boolean {
  return hasEnded({ state }) && state !== "orphaned";
}

/** Whether a task has ended, or can never run. */
export function hasEnded({ state }: Pick<SwarmTask, "state">): boolean {
  return ENDED.includes(state);
}

export function configOf({ ID, Spec, Version }: ApiConfig): SwarmConfig {
  const data = Uint8Array.fromBase64(Spec.Data ?? "");
  return { id: ID, name: Spec.Name, version: Version.Index, labels: Spec.Labels ?? {}, data };
}

/** @returns `undefined` for an event of something else. */
export function eventOf({ Action, Actor, Type, timeNano }: ApiEvent): SwarmEvent | undefined {
  if (Type !== "service" && Type !== "config" && Type !== "node") return undefined;
  if (Action !== "create" && Action !== "update" && Action !== "remove") return undefined;
  const attributes = Actor?.Attributes ?? {};
  // Rounded down, so that a stream that resumes there rather repeats an event than misses one.
  const time = timeNano === undefined ? undefined : (Math.floor(timeNano / 1000) / 1e6).toFixed(6);
  return { type: Type, action: Action, id: Actor?.ID ?? "", name: attributes.name ?? "", attributes, time };
}
