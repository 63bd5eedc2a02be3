import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { environmentOf, type Placement, runArgs } from "../../src/docker/run_args.ts";
import { conventionRevision } from "../../src/model/revision.ts";

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
    "--log-driver=local",
    "--log-opt=max-size=10m",
    "--log-opt=max-file=3",
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
    memory: 268_435_456,
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
