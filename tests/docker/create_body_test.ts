import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createBody } from "../../src/docker/create_body.ts";
import { type Placement, runArgs } from "../../src/docker/run_args.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";

const REVISION = conventionRevision("golang", `sha256:${"0123456789abcdef".repeat(4)}`, {
  startTimeout: 30_000,
  requestTimeout: 300_000,
  pauseAfter: Infinity,
  stopAfter: 600_000,
});

const DIRECT: Placement = {
  id: "cless-golang-golang-0123456789ab-x1y2",
  owner: "a1b2c3d4",
  network: "cless-a1b2c3d4",
  address: "172.31.240.2",
  hostPort: undefined,
  origin: "http://172.31.240.2:8080",
};

Deno.test("the engine is told this and nothing else", () => {
  const full: Revision = {
    ...REVISION,
    command: ["serve", ""],
    env: { KEY: "two\nlines", PORT: "1" },
    memory: 268_435_456,
    cpus: 0.3,
    volumes: [
      { source: "data", path: "/data", readOnly: false },
      { source: "/srv/site", path: "/site", readOnly: true },
    ],
  };
  assertEquals(createBody(full, { ...DIRECT, hostPort: 20001, origin: "http://127.0.0.1:20001" }), {
    Image: REVISION.imageId,
    Cmd: ["serve", ""],
    Env: ["PORT=1", "KEY=two\nlines"],
    Labels: {
      "cless.owner": "a1b2c3d4",
      "cless.service": "golang",
      "cless.revision": "golang-0123456789ab",
      "cless.image": REVISION.imageId,
      "cless.address": "172.31.240.2",
      "cless.origin": "http://127.0.0.1:20001",
    },
    ExposedPorts: { "8080/tcp": {} },
    HostConfig: {
      NetworkMode: "cless-a1b2c3d4",
      PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "20001" }] },
      ExtraHosts: ["host.docker.internal:host-gateway"],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: 1024,
      LogConfig: { Type: "local", Config: { "max-size": "10m", "max-file": "3" } },
      Memory: 268_435_456,
      MemorySwap: 268_435_456,
      NanoCpus: 300_000_000,
      Mounts: [
        { Type: "volume", Source: "data", Target: "/data" },
        { Type: "bind", Source: "/srv/site", Target: "/site", ReadOnly: true },
      ],
    },
    NetworkingConfig: { EndpointsConfig: { "cless-a1b2c3d4": { IPAMConfig: { IPv4Address: "172.31.240.2" } } } },
  });
});

Deno.test("what nobody has said is left to the image and the engine", () => {
  const { HostConfig, ...body } = createBody(REVISION, DIRECT);
  assertEquals(Object.keys(body), ["Image", "Env", "Labels", "NetworkingConfig"]);
  assertEquals(Object.keys(HostConfig as Record<string, unknown>), [
    "NetworkMode",
    "ExtraHosts",
    "SecurityOpt",
    "PidsLimit",
    "LogConfig",
    "Mounts",
  ]);
});

Deno.test("two revisions are told the engine alike exactly where they are told the command alike", () => {
  const revision = fc.record({
    command: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
    memory: fc.constantFrom(undefined, 8_000_000, 9_000_000),
    cpus: fc.constantFrom(undefined, 0.1, 0.2, 0.7),
    port: fc.constantFrom(80, 8080),
    volumes: fc.array(
      fc.record({ source: fc.constantFrom("x", "/x"), path: fc.constantFrom("/a", "/b"), readOnly: fc.boolean() }),
      { maxLength: 2 },
    ),
  }).map((extras) => ({ ...REVISION, ...extras }));
  const placement = fc.record({
    hostPort: fc.constantFrom(undefined, 20001),
    address: fc.constantFrom("172.31.240.2", "172.31.240.3"),
  }).map((place) => ({ ...DIRECT, ...place }));
  const pair = fc.tuple(revision, placement);
  fc.assert(fc.property(pair, pair, (one, other) => {
    const args = [one, other].map(([revision, placement]) =>
      JSON.stringify([runArgs(revision, placement), revision.port])
    );
    const bodies = [one, other].map(([revision, placement]) => JSON.stringify(createBody(revision, placement)));
    assertEquals(bodies[0] === bodies[1], args[0] === args[1]);
  }));
});

Deno.test("a share of a processor is told alike, as fine as the engine takes it and never as none", () => {
  const shares: [cpus: number, arg: string, nano: number][] = [
    [0.1 + 0.2, "--cpus=0.3", 300_000_000],
    [1 / 3, "--cpus=0.333333333", 333_333_333],
    [1024, "--cpus=1024", 1_024_000_000_000],
    [1e-10, "--cpus=1e-9", 1], // 0 would be no limit
  ];
  for (const [cpus, arg, nano] of shares) {
    const revision = { ...REVISION, cpus };
    assertEquals(runArgs(revision, DIRECT).filter((arg) => arg.startsWith("--cpus")), [arg]);
    assertEquals((createBody(revision, DIRECT).HostConfig as { NanoCpus: number }).NanoCpus, nano);
  }
});
