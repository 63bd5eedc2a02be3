import { assertEquals } from "@std/assert";
import type { EngineCaller } from "../../../src/docker/socket_client.ts";
import { checkSwarm, checkWall, swarmFindings, volumeFindings } from "../../../src/docker/swarm/checks.ts";
import type { SwarmNode } from "../../../src/docker/swarm/swarm_api.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";

const PORTS = { first: 20_000, last: 29_999 };
const MANAGERS = [{ nodeId: "a", address: "10.0.0.1:2377" }];

/** The nodes of a Swarm with these changes; the first ones are managers. */
function nodes(...changes: Partial<SwarmNode>[]): readonly SwarmNode[] {
  const swarm = new FakeSwarm(new FakeClock(), ["a", "b", "c"].slice(0, changes.length));
  changes.forEach((change, at) => swarm.setNode(["a", "b", "c"][at]!, change));
  return swarm.nodes;
}

/** The findings that are not good, in short. */
function bad(facts: Partial<Parameters<typeof swarmFindings>[0]>): string[] {
  return swarmFindings({ own: "a", nodes: nodes({}), managers: MANAGERS, heartbeatMs: 1000, ...facts })
    .filter(({ state }) => state !== "ok").map(({ check, fact, state }) => `${state} ${check}: ${fact}`);
}

Deno.test("a Swarm of one or three managers that says often that it lives is well", () => {
  assertEquals(bad({}), []);
  assertEquals(bad({ nodes: nodes({}, {}, {}) }), []);
  assertEquals(bad({ nodes: nodes({}, { role: "worker" }) }), []);
});

Deno.test("each thing that makes a Swarm slower to mend itself, or less sure, is a warning", () => {
  assertEquals(bad({ nodes: nodes({}, {}) }), [
    "warning managers: the Swarm has 2 managers; an even number gains nothing",
  ]);
  assertEquals(bad({ heartbeatMs: 5000 }), [
    "warning heartbeat: nodes say every 5 s that they live, so a lost one is noticed late",
  ]);
  assertEquals(bad({ nodes: nodes({}, { role: "worker", isReady: false, engineVersion: "28.0" }) }), [
    "warning nodes: the managers do not hear from host-b",
    "warning engines: the nodes have several versions of Docker: 26.1.5, 28.0",
  ]);
});

Deno.test("a volume whose machine is away is a warning that says which one", () => {
  const record = (nodeId: string) => ({ nodeId, hostname: "host-c", engineId: "e", former: [] });
  const all = nodes({}, { isReady: false, changedAt: 0 });
  assertEquals(volumeFindings(new Map(), all, 0), []);
  assertEquals(volumeFindings(new Map([["data", record("a")]]), all, 0), [
    { check: "volumes", state: "ok", fact: "the machines of all volumes are there (1)" },
  ]);
  const found = volumeFindings(new Map([["data", record("b")], ["old", record("c")]]), all, 0);
  assertEquals(found.map(({ fact, state }) => `${state}: ${fact}`), [
    "warning: the volume data is on the machine host-b (b), which is down since 1970-01-01T00:00:00Z",
    "warning: the volume old is on the machine host-c (c), which is not in the Swarm",
  ]);
});

/** An engine that answers from a table. */
function engineOf(answers: Record<string, unknown>): EngineCaller {
  return {
    ask: (method, path) => {
      const answer = answers[`${method} ${path}`];
      return answer === undefined ? Promise.reject(new Error(path)) : Promise.resolve(JSON.stringify(answer));
    },
    open: () => Promise.reject(new Error("it is not asked")),
  };
}

/** What a manager's engine answers. */
const ANSWERS = {
  "GET /info": { Swarm: { LocalNodeState: "active", NodeID: "a", NodeAddr: "10.0.0.1", ControlAvailable: true } },
  "GET /swarm": {
    JoinTokens: { Worker: "w", Manager: "m" },
    Spec: { Dispatcher: { HeartbeatPeriod: 1_000_000_000 } },
  },
  "GET /nodes": ["a", "b", "c"].map((ID, at) => ({
    ID,
    Spec: { Role: at === 2 ? "worker" : "manager", Availability: "active" },
    Description: { Hostname: `host-${ID}`, Engine: { EngineVersion: "26.1.5" } },
    Status: { State: "ready", Addr: `10.0.0.${at + 1}` },
    ...(at === 2 ? {} : { ManagerStatus: { Leader: at === 0, Addr: `10.0.0.${at + 1}:2377` } }),
  })),
  "GET /networks/bridge": { Options: { "com.docker.network.bridge.enable_icc": "true" } },
};
const MANAGER = engineOf(ANSWERS);

Deno.test("apps that reach each other on this machine are a warning that says how to keep them apart", async () => {
  const found = async (engine: EngineCaller) => {
    const connect = () => Promise.resolve("accepted" as const);
    const findings = await checkSwarm({ engine, manager: undefined, ports: PORTS, connect });
    return findings.find(({ check }) => check === "apps");
  };
  assertEquals(await found(MANAGER), {
    check: "apps",
    state: "warning",
    fact: "apps on this machine reach each other at their own addresses",
    remedy: 'put {"icc": false} into /etc/docker/daemon.json, and restart Docker',
  });
  const apart = { "GET /networks/bridge": { Options: { "com.docker.network.bridge.enable_icc": "false" } } };
  assertEquals((await found(engineOf({ ...ANSWERS, ...apart })))?.state, "ok");
});

Deno.test("a manager is asked once for its Swarm and once for its nodes", async () => {
  const asked: string[] = [];
  const ask: EngineCaller["ask"] = (method, path) => {
    asked.push(`${method} ${path}`);
    return MANAGER.ask(method, path);
  };
  const connect = () => Promise.resolve("accepted" as const);
  await checkSwarm({ engine: { ...MANAGER, ask }, manager: undefined, ports: PORTS, connect });
  assertEquals(asked.filter((call) => call !== "GET /info"), ["GET /swarm", "GET /nodes", "GET /networks/bridge"]);
});

Deno.test("the ports of Swarm are tried on all other nodes, and each that is closed is named", async () => {
  const tried: string[] = [];
  const findings = await checkSwarm({
    ...{ engine: MANAGER, manager: undefined, ports: PORTS },
    connect: ({ hostname, port }) => {
      tried.push(`${hostname}:${port}`);
      return Promise.resolve(hostname === "10.0.0.3" || port === PORTS.first ? "refused" : "accepted");
    },
  });
  assertEquals(tried, [
    ...["10.0.0.2:7946", "10.0.0.2:2377", "10.0.0.3:7946"],
    ...["10.0.0.2:20000", "10.0.0.3:20000"],
  ]);
  assertEquals(findings.map(({ check, state }) => `${check} ${state}`), [
    ...["swarm ok", "managers warning", "heartbeat ok", "apps warning"],
    "ports failed",
  ]);
  assertEquals(findings.at(-1)?.fact, "port 7946/tcp of host-c cannot be reached");
  assertEquals(findings.at(-1)?.remedy, "open 2377/tcp, 7946/tcp, 7946/udp and 1324/tcp between the machines");
});

Deno.test("a firewall that drops connections to instances is found, though there need be none at the port", async () => {
  const findings = await checkSwarm({
    ...{ engine: MANAGER, manager: undefined, ports: PORTS },
    connect: ({ hostname, port }) =>
      Promise.resolve(port !== PORTS.first ? "accepted" : hostname === "10.0.0.3" ? "silent" : "refused"),
  });
  assertEquals(findings.at(-1), {
    check: "ports",
    state: "failed",
    fact: "the ports of instances on host-c, 20000:29999/tcp, cannot be reached",
    remedy: "open 20000:29999/tcp between the machines",
  });
});

/** What is said of the firewall, in short. */
async function wallOf(isSet: boolean | Error, isRunning: boolean, mayBeOpen: boolean): Promise<string> {
  const wall = { isSet: () => isSet instanceof Error ? Promise.reject(isSet) : Promise.resolve(isSet) };
  const { fact, state } = await checkWall(wall, { isRunning, mayBeOpen, ports: PORTS });
  return `${state}: ${fact.replace("the ports of instances (20000 to 29999)", "they")}`;
}

Deno.test("ports of instances that are open to everybody are a failure, unless that is wanted", async () => {
  const open = "they are open to everybody who reaches this machine";
  assertEquals(await wallOf(true, true, false), "ok: they are open to the machines of the Swarm alone");
  assertEquals(await wallOf(false, true, false), `failed: ${open}`);
  assertEquals(await wallOf(false, true, true), `warning: ${open}`);
  assertEquals(await wallOf(false, false, false), "ok: cless closes they to all but the Swarm when it starts");
});

Deno.test("who may not use the firewall cannot run cless without --open-ports", async () => {
  const refused = new Error("Permission denied");
  const fact = "this user cannot see or change who reaches they: Permission denied";
  assertEquals(await wallOf(refused, false, false), `failed: ${fact}`);
  assertEquals(await wallOf(refused, false, true), `warning: ${fact}`);
  assertEquals(await wallOf(refused, true, false), `warning: ${fact}`);
});

Deno.test("a machine that is in no Swarm is told how to enter one, and a worker that it needs a manager", async () => {
  const connect = () => Promise.resolve("accepted" as const);
  const stateOf = async (Swarm: unknown, manager?: EngineCaller) => {
    const engine = engineOf({ "GET /info": { Swarm }, "GET /networks/bridge": {} });
    const findings = await checkSwarm({ engine, manager, connect, ports: PORTS });
    return findings.map(({ check, fact, state }) => `${state} ${check}: ${fact}`);
  };
  assertEquals(await stateOf({ LocalNodeState: "inactive" }), ["failed swarm: this machine is in no Swarm"]);
  assertEquals(await stateOf({ LocalNodeState: "locked" }), [
    "failed swarm: this machine is not rightly in a Swarm (locked)",
  ]);
  const worker = { LocalNodeState: "active", NodeID: "c", ControlAvailable: false };
  assertEquals(await stateOf(worker), [
    "ok swarm: this machine is a worker of a Swarm",
    "failed manager: no manager is known that this worker can ask",
  ]);
  assertEquals((await stateOf(worker, MANAGER)).length, 5);
});
