import { assertEquals, assertMatch } from "@std/assert";
import { createBody } from "../../../src/docker/container_spec.ts";
import { placementOf } from "../../../src/docker/swarm/placement.ts";
import {
  instanceName,
  serviceBody,
  type ServicePlan,
  swarmProblem,
  volumesIn,
} from "../../../src/docker/swarm/service_spec.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { OWNER, REVISION } from "../launcher_kit.ts";

const PLAN: ServicePlan = {
  name: instanceName(OWNER, REVISION, 0),
  owner: OWNER,
  image: REVISION.imageId,
  placement: {},
  reserved: {},
  nodePort: 20_000,
};
const PLACEMENT = {
  ...{ id: "one", owner: OWNER, network: "cless-a1", address: "10.9.0.2", hostPort: 20_000 },
  origin: "http://10.9.0.2:8080",
};

/** A revision with everything that a container can have. */
const FULL: Revision = {
  ...REVISION,
  command: ["serve", "--fast"],
  user: "1000:1000",
  env: { KEY: 'a "word"\n' },
  capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
  readOnly: true,
  memoryBytes: 64_000_000,
  cpus: 0.5,
  volumes: [
    { source: "data", path: "/data", readOnly: false },
    { source: "/srv/in", path: "/in", readOnly: true },
  ],
};

// deno-lint-ignore no-explicit-any -- what it has is what is tested
type Body = any;

/** What both bodies say of a container, in the words of Swarm. */
function ofContainer(revision: Revision) {
  const { HostConfig, ...container }: Body = createBody(revision, PLACEMENT);
  const withPrefix = (name: string) => name === "ALL" ? name : `CAP_${name}`;
  return {
    Image: container.Image,
    Args: container.Cmd,
    User: container.User,
    Env: container.Env,
    Healthcheck: container.Healthcheck,
    Hosts: HostConfig.ExtraHosts.map((host: string) => host.split(":").toReversed().join(" ")),
    NoNewPrivileges: HostConfig.SecurityOpt.includes("no-new-privileges"),
    CapabilityAdd: HostConfig.CapAdd.map(withPrefix),
    CapabilityDrop: HostConfig.CapDrop.map(withPrefix),
    ReadOnly: HostConfig.ReadonlyRootfs,
    Mounts: HostConfig.Mounts,
    Tmpfs: Object.keys(HostConfig.Tmpfs ?? {}),
    Limits: { MemoryBytes: HostConfig.Memory, NanoCPUs: HostConfig.NanoCpus, Pids: HostConfig.PidsLimit },
    Log: [HostConfig.LogConfig.Type, HostConfig.LogConfig.Config],
    Port: Object.keys(HostConfig.PortBindings)[0]!,
  };
}

function ofService(revision: Revision) {
  const { EndpointSpec, TaskTemplate }: Body = serviceBody(revision, PLAN);
  const { ContainerSpec, LogDriver, Resources } = TaskTemplate;
  const isTmpfs = ({ Type }: { Type: string }) => Type === "tmpfs";
  return {
    Image: ContainerSpec.Image,
    Args: ContainerSpec.Args,
    User: ContainerSpec.User,
    Env: ContainerSpec.Env,
    Healthcheck: ContainerSpec.Healthcheck,
    Hosts: ContainerSpec.Hosts,
    NoNewPrivileges: ContainerSpec.Privileges.NoNewPrivileges,
    CapabilityAdd: ContainerSpec.CapabilityAdd,
    CapabilityDrop: ContainerSpec.CapabilityDrop,
    ReadOnly: ContainerSpec.ReadOnly,
    Mounts: ContainerSpec.Mounts.filter((mount: { Type: string }) => !isTmpfs(mount)),
    Tmpfs: ContainerSpec.Mounts.filter(isTmpfs).map(({ Target }: { Target: string }) => Target),
    Limits: { MemoryBytes: undefined, NanoCPUs: undefined, ...Resources.Limits },
    Log: [LogDriver.Name, LogDriver.Options],
    Port: `${EndpointSpec.Ports[0].TargetPort}/tcp`,
  };
}

for (const [what, revision] of Object.entries({ "with everything": FULL, "with defaults": REVISION })) {
  Deno.test(`a container ${what} is the same by Swarm as by the engine`, () => {
    assertEquals(ofService(revision), ofContainer(revision));
  });
}

Deno.test("a service has one task that Swarm never replaces, and a port of its node without a virtual address", () => {
  const body: Body = serviceBody(REVISION, PLAN);
  assertEquals([body.Name, body.Mode], [`cless-${OWNER}-${REVISION.name}-s0`, { Replicated: { Replicas: 1 } }]);
  assertEquals(body.TaskTemplate.RestartPolicy, { Condition: "none" });
  assertEquals(body.EndpointSpec, {
    Mode: "dnsrr",
    Ports: [{ Protocol: "tcp", TargetPort: REVISION.port, PublishedPort: 20_000, PublishMode: "host" }],
  });
});

Deno.test("service and container say whose they are, with the labels that containers have everywhere", () => {
  const body: Body = serviceBody(FULL, PLAN);
  const labels = {
    "cless.owner": OWNER,
    "cless.service": "golang",
    "cless.revision": FULL.name,
    "cless.image": FULL.imageId,
    "cless.volumes": "data\n/srv/in",
  };
  assertEquals([body.Labels, body.TaskTemplate.ContainerSpec.Labels], [labels, labels]);
  assertEquals([volumesIn(labels), volumesIn({})], [["data", "/srv/in"], []]);
});

Deno.test("only what a service names itself is reserved on a node", () => {
  const reserved = (plan: Partial<ServicePlan>) => {
    const body: Body = serviceBody(FULL, { ...PLAN, ...plan });
    return body.TaskTemplate.Resources.Reservations;
  };
  assertEquals(reserved({}), {});
  assertEquals(reserved({ reserved: { memoryBytes: 64_000_000, cpus: 0.5 } }), {
    MemoryBytes: 64_000_000,
    NanoCPUs: 500_000_000,
  });
});

Deno.test("what Swarm cannot do is refused with a sentence", () => {
  assertEquals(swarmProblem(FULL), undefined);
  assertEquals(
    swarmProblem({ runtime: "runsc" }),
    "Swarm has no runtime per service: make runsc the default runtime of its nodes, and leave it out here",
  );
});

Deno.test("a name that is too long for Swarm is cut, and still tells revisions and numbers apart", () => {
  assertEquals(instanceName(OWNER, { name: "web-00001" }, 7), `cless-${OWNER}-web-00001-s7`);
  const long = `${"a".repeat(40)}-0123456789a`;
  const names = [`${long}b`, `${long}c`].flatMap((name) =>
    [0, 9, 999].map((number) => instanceName(OWNER, { name }, number))
  );
  assertEquals(new Set(names).size, 6);
  for (const name of names) assertMatch(name, /^cless-[0-9a-f]{8}-a+-[0-9a-f]{16}-s\d+$/);
  assertEquals(Math.max(...names.map(({ length }) => length)), 63);
});

Deno.test("rules for nodes become constraints and preferences of Swarm", () => {
  const id = "zlysolm3z4svauf3pwe0wmauq";
  assertEquals(placementOf({}), {});
  assertEquals(placementOf({ node: "alpha" }), { Constraints: ["node.hostname==alpha"] });
  assertEquals(placementOf({}, undefined, ["a", "b"]), { Constraints: ["node.id!=a", "node.id!=b"] });
  assertEquals(placementOf({}, "a", ["a"]), { Constraints: ["node.id==a"] });
  assertEquals(placementOf({ node: id }), { Constraints: [`node.id==${id}`] });
  assertEquals(placementOf({ labels: { disk: "fast", room: "2" } }, id), {
    Constraints: ["node.labels.disk==fast", "node.labels.room==2", `node.id==${id}`],
  });
  assertEquals(placementOf({ spread: "room" }), {
    Preferences: [{ Spread: { SpreadDescriptor: "node.labels.room" } }],
  });
});
