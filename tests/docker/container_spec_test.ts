import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  ChosenLogging,
  createBody,
  environmentOf,
  type Logging,
  type Placement,
  runArgs,
} from "../../src/docker/container_spec.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";

const REVISION = conventionRevision("golang", `sha256:${"0123456789abcdef".repeat(4)}`, {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: 600_000,
  stopHibernatedAfterMs: 600_000,
});

const DIRECT: Placement = {
  id: "cless-golang-golang-0123456789ab-x1y2",
  owner: "a1b2c3d4",
  network: "cless-a1b2c3d4",
  address: "172.31.240.2",
  hostPort: undefined,
  origin: "http://172.31.240.2:8080",
};

Deno.test("a container is started with these arguments and no others", () => {
  assertEquals(runArgs(REVISION, DIRECT), [
    "run",
    "--detach",
    "--pull=never",
    "--name=cless-golang-golang-0123456789ab-x1y2",
    "--label=cless.owner=a1b2c3d4",
    "--label=cless.service=golang",
    "--label=cless.revision=golang-0123456789ab",
    `--label=cless.image=${REVISION.imageId}`,
    "--label=cless.address=172.31.240.2",
    "--label=cless.origin=http://172.31.240.2:8080",
    "--network=cless-a1b2c3d4",
    "--ip=172.31.240.2",
    "--add-host=host.docker.internal:host-gateway",
    "--security-opt=no-new-privileges",
    "--pids-limit=1024",
    "--no-healthcheck=true",
    "--log-driver=local",
    "--log-opt=max-size=10m",
    "--log-opt=max-file=3",
    "--cap-drop=AUDIT_WRITE",
    "--cap-drop=MKNOD",
    "--cap-drop=NET_RAW",
    "--env-file=/dev/stdin",
    REVISION.imageId,
  ]);
});

Deno.test("where the host does not reach containers, a port of 127.0.0.1 and of no other address is published", () => {
  const args = runArgs(REVISION, { ...DIRECT, hostPort: 20001, origin: "http://127.0.0.1:20001" });
  assertEquals(args.filter((arg) => arg.startsWith("--publish")), ["--publish=127.0.0.1:20001:8080"]);
  assertEquals(args.length, runArgs(REVISION, DIRECT).length + 1);
});

Deno.test("memory, processors, volumes, environment and command come behind everything else", () => {
  const args = runArgs({
    ...REVISION,
    memoryBytes: 268_435_456,
    cpus: 0.5,
    volumes: [
      { source: "data", path: "/data", readOnly: false },
      { source: "/srv/site", path: "/site", readOnly: true },
    ],
    env: { PLAIN: "a secret", KEY: "two\nsecrets" },
    command: ["serve", "--verbose", ""],
  }, DIRECT);
  const plain = runArgs(REVISION, DIRECT);
  assertEquals(args.slice(0, plain.length - 2), plain.slice(0, -2));
  assertEquals(args.slice(plain.length - 2), [
    "--memory=268435456",
    "--memory-swap=268435456",
    "--cpus=0.5",
    "--mount=type=volume,source=data,target=/data",
    "--mount=type=bind,source=/srv/site,target=/site,readonly",
    "--env-file=/dev/stdin",
    "--env=KEY",
    REVISION.imageId,
    "serve",
    "--verbose",
    "",
  ]);
});

Deno.test("what a revision says of isolation comes as flags of its own", () => {
  const isolated = {
    ...REVISION,
    capabilities: { add: ["CHOWN"], drop: ["ALL"] },
    readOnly: true,
    user: "1000:1000",
    runtime: "runsc",
  };
  const args = runArgs(isolated, DIRECT);
  const known = new Set(runArgs(REVISION, DIRECT));
  assertEquals(args.filter((arg) => !known.has(arg)), [
    "--cap-drop=ALL",
    "--cap-add=CHOWN",
    "--read-only",
    "--tmpfs=/tmp:mode=1777",
    "--user=1000:1000",
    "--runtime=runsc",
  ]);
  assertEquals(createBody(isolated, DIRECT).User, "1000:1000");
  const { CapAdd, CapDrop, ReadonlyRootfs, Runtime, Tmpfs } = createBody(isolated, DIRECT).HostConfig as Record<
    string,
    unknown
  >;
  assertEquals([CapAdd, CapDrop, ReadonlyRootfs, Runtime, Tmpfs], [
    ["CHOWN"],
    ["ALL"],
    true,
    "runsc",
    { "/tmp": "mode=1777" },
  ]);
});

Deno.test("a read-only container has no /tmp in memory where a volume is", () => {
  const volumes = [{ source: "data", path: "/tmp", readOnly: false }];
  const revision = { ...REVISION, readOnly: true, volumes };
  assertEquals(runArgs(revision, DIRECT).some((arg) => arg.startsWith("--tmpfs")), false);
  assertEquals("Tmpfs" in (createBody(revision, DIRECT).HostConfig as Record<string, unknown>), false);
});

Deno.test("an engine without Docker's way to keep output gets Podman's, for all containers from then on", async () => {
  const logging = new ChosenLogging();
  const asked: string[] = [];
  const make = ({ driver }: Logging) => {
    asked.push(driver);
    if (driver === "local") throw new EngineError("no_log_driver", "invalid log driver");
    return Promise.resolve("made");
  };
  assertEquals([await logging.run(make), await logging.run(make)], ["made", "made"]);
  assertEquals(asked, ["local", "k8s-file", "k8s-file"]);
  await assertRejects(
    () => new ChosenLogging().run(() => Promise.reject(new EngineError("refused", "no"))),
    EngineError,
    "no",
  );
});

/** Reads a line of CSV as RFC 4180 has it, and Docker does. */
function parseCsv(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)]
    .map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare!);
}

Deno.test("a volume is what it says, whatever is in its name and path", () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom("a,readonly", 'a"b', 'a","b', "a\nb", "--privileged", "a,source=/", "/etc", "a:b"),
  );
  fc.assert(fc.property(text, text, fc.boolean(), (source, path, readOnly) => {
    const args = runArgs({ ...REVISION, volumes: [{ source, path, readOnly }] }, DIRECT);
    assertEquals(args.length, runArgs(REVISION, DIRECT).length + 1);
    const mount = args.at(-3)!;
    assert(mount.startsWith("--mount="));
    assertEquals(parseCsv(mount.slice("--mount=".length)), [
      `type=${source.startsWith("/") ? "bind" : "volume"}`,
      `source=${source}`,
      `target=${path}`,
      ...(readOnly ? ["readonly"] : []),
    ]);
  }));
});

Deno.test("the words of a command come as they are, and only behind the image", () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("--privileged", "-v/:/host", "--", "$(reboot)"));
  fc.assert(fc.property(fc.array(word), (command) => {
    assertEquals(runArgs({ ...REVISION, command }, DIRECT), [...runArgs(REVISION, DIRECT), ...command]);
  }));
});

Deno.test("no name, path or image becomes a flag or an argument of its own", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("--privileged", "-v/:/host", "a --b", "x\n--net=host"));
  fc.assert(fc.property(text, text, text, text, (service, name, id, owner) => {
    const args = runArgs({ ...REVISION, service, name }, { ...DIRECT, id, owner, network: `cless-${owner}` });
    const [flags, image] = [args.slice(1, -1), args.at(-1)];
    assertEquals(args.length, runArgs(REVISION, DIRECT).length);
    assertEquals(image, REVISION.imageId);
    for (const flag of flags) assert(/^--(detach$|[a-z-]+=)/.test(flag), flag);
    assertEquals(
      flags.map((flag) => flag.split("=")[0]),
      runArgs(REVISION, DIRECT).slice(1, -1).map((flag) => flag.split("=")[0]),
    );
  }));
});

Deno.test("an app is told its port, as most platforms do, unless it is told another", () => {
  assertEquals(environmentOf({ env: { A: "1" }, port: 3000 }), { PORT: "3000", A: "1" });
  assertEquals(environmentOf({ env: { PORT: "99" }, port: 3000 }), { PORT: "99" });
});

Deno.test("the request that makes a container has this body and nothing else", () => {
  const full: Revision = {
    ...REVISION,
    command: ["serve", ""],
    env: { KEY: "two\nlines", PORT: "1" },
    memoryBytes: 268_435_456,
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
    Healthcheck: { Test: ["NONE"] },
    ExposedPorts: { "8080/tcp": {} },
    HostConfig: {
      NetworkMode: "cless-a1b2c3d4",
      PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "20001" }] },
      ExtraHosts: ["host.docker.internal:host-gateway"],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: 1024,
      LogConfig: { Type: "local", Config: { "max-size": "10m", "max-file": "3" } },
      CapDrop: ["AUDIT_WRITE", "MKNOD", "NET_RAW"],
      CapAdd: [],
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

Deno.test("fields that a revision does not set are left to the image and the engine", () => {
  const { HostConfig, ...body } = createBody(REVISION, DIRECT);
  assertEquals(Object.keys(body), ["Image", "Env", "Labels", "Healthcheck", "NetworkingConfig"]);
  assertEquals(Object.keys(HostConfig as Record<string, unknown>), [
    "NetworkMode",
    "ExtraHosts",
    "SecurityOpt",
    "PidsLimit",
    "LogConfig",
    "CapDrop",
    "CapAdd",
    "Mounts",
  ]);
});

Deno.test("two containers have the same request body exactly if they have the same arguments", () => {
  const revision = fc.record({
    command: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
    memory: fc.constantFrom(undefined, 8_000_000, 9_000_000),
    cpus: fc.constantFrom(undefined, 0.1, 0.2, 0.7),
    port: fc.constantFrom(80, 8080),
    capabilities: fc.record({
      add: fc.constantFrom([], ["CHOWN"], ["KILL"]),
      drop: fc.constantFrom([], ["CHOWN"], ["ALL"]),
    }),
    readOnly: fc.boolean(),
    user: fc.constantFrom("0", "1000"),
    runtime: fc.constantFrom("runc", "runsc"),
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

Deno.test("both ways give a container the same share of a processor, never rounded to none", () => {
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
