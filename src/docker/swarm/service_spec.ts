import type { Revision } from "../../model/revision.ts";
import type { Volume } from "../../model/template.ts";
import {
  DOCKER_LOGGING,
  environmentOf,
  FIXED,
  LABEL,
  mountType,
  nanoCpus,
  needsTmpfs,
  WRITABLE,
} from "../container_spec.ts";
import type { SwarmPlacement } from "./placement.ts";
import { shortHash } from "./short_hash.ts";

/** Swarm's longest name of a service. */
const MAX_NAME = 63;
/** What an app that is asked to end by Swarm gets, ns. cless asks it before, and gives it its own time. */
const STOP_GRACE_NS = 10_000_000_000;

/** What a service of Swarm has beyond its revision. */
export interface ServicePlan {
  /** The instance's id. */
  readonly name: string;
  readonly owner: string;
  /** The image as its nodes find it: by its digest in a registry, or by its id if they have it. */
  readonly image: string;
  readonly placement: SwarmPlacement;
  /** The port of its node that leads to the app. */
  readonly nodePort: number;
  /** What the node must have free. */
  readonly reserved: Partial<Pick<Revision, "memoryBytes" | "cpus">>;
}

/**
 * The name of the instance of a revision with a number: the same for all cless of the owner, so that of two that start it
 * at once one makes it, and both use it. It is unique in the Swarm. A name that is too long for Swarm is cut, and made
 * unique by a hash.
 */
export function instanceName(owner: string, { name }: Pick<Revision, "name">, number: number): string {
  const [begin, end] = [`cless-${owner}-`, `-s${number}`];
  const room = MAX_NAME - begin.length - end.length;
  if (name.length <= room) return begin + name + end;
  const hash = shortHash(name);
  return `${begin}${name.slice(0, room - hash.length - 1)}-${hash}${end}`;
}

/** Why Swarm cannot run a revision as it is, in a sentence for its operator; `undefined` if it can. */
export function swarmProblem({ runtime }: Pick<Revision, "runtime">): string | undefined {
  if (runtime !== undefined) {
    return `Swarm has no runtime per service: make ${runtime} the default runtime of its nodes, and leave it out here`;
  }
  return undefined;
}

/**
 * The body of the API request that creates an instance: a service of one task, which Swarm never replaces. The same
 * container as of `createBody`, as far as Swarm has it. It contains the environment's values, so it must not be logged.
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Service/operation/ServiceCreate
 */
export function serviceBody(revision: Revision, plan: ServicePlan): Record<string, unknown> {
  const { capabilities, command, cpus, memoryBytes, port, readOnly, user } = revision;
  const labels = serviceLabels(revision, plan);
  const tmpfs = { Type: "tmpfs", Target: WRITABLE.path, TmpfsOptions: { Mode: WRITABLE.mode } };
  return {
    Name: plan.name,
    Labels: labels,
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: {
      Mode: "dnsrr", // the other mode would take a virtual address
      Ports: [{ Protocol: "tcp", TargetPort: port, PublishedPort: plan.nodePort, PublishMode: "host" }],
    },
    TaskTemplate: {
      RestartPolicy: { Condition: "none" },
      Placement: plan.placement,
      LogDriver: { Name: DOCKER_LOGGING.driver, Options: DOCKER_LOGGING.options },
      Resources: {
        Limits: { ...resources({ memoryBytes, cpus }), Pids: FIXED.pidsLimit },
        Reservations: resources(plan.reserved),
      },
      ContainerSpec: {
        Image: plan.image,
        Labels: labels,
        ...(command.length === 0 ? {} : { Args: command }),
        ...(user === undefined ? {} : { User: user }),
        Env: Object.entries(environmentOf(revision)).map(([name, value]) => `${name}=${value}`),
        Healthcheck: { Test: ["NONE"] },
        Hosts: [FIXED.extraHost.split(":").reverse().join(" ")],
        Privileges: { NoNewPrivileges: true },
        CapabilityAdd: capabilities.add.map(withPrefix),
        CapabilityDrop: capabilities.drop.map(withPrefix),
        ...(readOnly ? { ReadOnly: true } : {}),
        Mounts: [...revision.volumes.map(mount), ...(needsTmpfs(revision) ? [tmpfs] : [])],
        StopGracePeriod: STOP_GRACE_NS,
      },
    },
  };
}

/** The volumes of an instance, from its labels. */
export function volumesIn(labels: Readonly<Record<string, string>>): readonly string[] {
  const text = labels[LABEL.volumes];
  return text === undefined ? [] : text.split("\n");
}

function serviceLabels(revision: Revision, { owner }: ServicePlan): Readonly<Record<string, string>> {
  const { imageId, name, service, volumes } = revision;
  return {
    [LABEL.owner]: owner,
    [LABEL.service]: service,
    [LABEL.revision]: name,
    [LABEL.image]: imageId,
    ...(volumes.length === 0 ? {} : { [LABEL.volumes]: volumes.map(({ source }) => source).join("\n") }),
  };
}

function resources({ cpus, memoryBytes }: ServicePlan["reserved"]): Record<string, number> {
  return {
    ...(memoryBytes === undefined ? {} : { MemoryBytes: memoryBytes }),
    ...(cpus === undefined ? {} : { NanoCPUs: nanoCpus(cpus) }),
  };
}

/** A capability as Swarm names it. Unlike the engine's own API, it knows only names with their prefix. */
function withPrefix(name: string): string {
  return name === "ALL" ? name : `CAP_${name}`;
}

function mount(volume: Volume): Record<string, unknown> {
  const { path, readOnly, source } = volume;
  return { Type: mountType(volume), Source: source, Target: path, ...(readOnly ? { ReadOnly: true } : {}) };
}
