import { assert, assertEquals, assertMatch, assertThrows, fail } from "@std/assert";
import { serve } from "../../src/cli/serve.ts";
import {
  type Config,
  type Forward,
  type GivenFlags,
  readConfig,
  type Surroundings,
  systemSurroundings,
  variableOf,
} from "../../src/base/config.ts";
import { UsageError } from "../../src/base/errors.ts";
import { FORWARDERS } from "../support/forwarders.ts";
import { noRun } from "../support/permissions.ts";

type Flags = Record<string, string | string[] | boolean>;

/** Reads the settings from flags, variables and surroundings. */
function read(flags: Flags = {}, variables: Record<string, string> = {}, around: Partial<Surroundings> = {}): Config {
  const given: GivenFlags = new Map(
    Object.entries(flags).map(([flag, value]) => [flag, typeof value === "string" ? [value] : value]),
  );
  return readConfig(given, {
    env: (name) => variables[name],
    variables: () => Object.keys(variables),
    root: true,
    terminal: false,
    memory: () => 8e9 + 1,
    ...around,
  });
}

/** The settings for comparison: without where they were given, and with what ranges contain in place of the ranges. */
function plain(config: Config) {
  const { sources: _, trustedProxies, ...rest } = config;
  return { ...rest, trustedProxies: trustedProxies.map((range) => range.contains("10.1.2.3")) };
}

const DEFAULTS = plain(read());

/** The default way to forward requests, and the other one. */
const FORWARD: Forward = "exact";
const [OTHER_FORWARD] = FORWARDERS.filter((forward) => forward !== FORWARD) as [Forward];

/** What `--engine swarm` changes. */
const SWARM = { engine: "swarm", portRange: { first: 61000, last: 65535 } } as const;
/** For each flag a value that is not the default, and the settings with it. */
const SETTINGS: Record<string, [text: string, setting: Partial<typeof DEFAULTS>]> = {
  "listen": ["127.0.0.1:8080", { listen: [{ hostname: "127.0.0.1", port: 8080 }] }],
  "admin": ["[::1]:99", { admin: { hostname: "::1", port: 99 } }],
  "admin-public": ["true", { adminPublic: true }],
  "admin-https": ["true", { adminHttps: true }],
  "take-over": ["true", { takeOver: true }],
  "domain": ["Example.ORG.", { domain: "example.org", domainGiven: true }],
  "public-url": ["https://Example.ORG", {
    publicUrl: { scheme: "https", domain: "example.org", port: 443 },
    domain: "example.org",
    domainGiven: true,
  }],
  "oidc-host": ["Auth.Example.org", { oidcHost: "auth.example.org" }],
  "trusted-proxy": ["10.0.0.0/8", { trustedProxies: [true] }],
  "config": ["/etc/cless.yaml", { configFile: "/etc/cless.yaml" }],
  "convention": ["false", { convention: false }],
  "wake-except-robots": ["true", { wakeExceptRobots: true }],
  "allow-host-path": ["/srv//data/", { allowHostPaths: ["/srv/data"] }],
  "start-timeout": ["1500ms", { startTimeoutMs: 1500 }],
  "request-timeout": ["0", { requestTimeoutMs: Infinity }],
  "client-timeout": ["10s", { clientTimeoutMs: 10_000 }],
  "stream-budget": ["1m", { streamBudgetBytes: 1024 ** 2 }],
  "pause-after": ["90s", { pauseAfterMs: 90_000 }],
  "hibernate-after": ["1m", { hibernateAfterMs: 60_000 }],
  "swap-budget": ["4g", { swapBudgetBytes: 4 * 1024 ** 3 }],
  "stop-after": ["1h", { stopAfterMs: 3_600_000, stopHibernatedAfterMs: 3_600_000 }],
  "drain-timeout": ["5s", { drainTimeoutMs: 5000 }],
  "memory-budget": ["2g", { memoryBudgetBytes: 2 * 1024 ** 3, defaultMemoryBytes: 2 * 1024 ** 3 }],
  "default-memory": ["512m", { defaultMemoryBytes: 512 * 1024 ** 2 }],
  "default-cpus": ["0.5", { defaultCpus: 0.5 }],
  "no-host-access": ["true", { noHostAccess: true }],
  "on-exit": ["keep", { onExit: "keep" }],
  "max-pending": ["7", { maxPending: 7 }],
  "max-in-flight": ["0", { maxInFlight: 0 }],
  "data-dir": ["/srv/cless", { dataDir: "/srv/cless" }],
  "docker": ["/opt/bin/docker", { docker: "/opt/bin/docker" }],
  "freezer": ["docker", { freezer: "docker" }],
  "freezer-socket": ["/run/other.sock", { freezerSocket: "/run/other.sock" }],
  "engine-api": ["command", { engineApi: "command" }],
  "engine": ["swarm", SWARM],
  "manager": ["10.0.0.1:1324", { managers: [{ hostname: "10.0.0.1", port: 1324 }], ...SWARM }],
  "open-ports": ["true", { openPorts: true, ...SWARM }],
  "peer-listen": ["10.0.0.2:99", { peerListen: { hostname: "10.0.0.2", port: 99 }, ...SWARM }],
  "upstream": ["published", { upstream: "published" }],
  "forward": [OTHER_FORWARD, { forward: OTHER_FORWARD }],
  "port-range": ["1-65535", { portRange: { first: 1, last: 65535 } }],
  "wake-log": ["full", { wakeLog: "full" }],
  "log-format": ["text", { logFormat: "text" }],
  "log-level": ["debug", { logLevel: "debug" }],
  "access-log": ["-", { accessLog: "-" }],
  "access-log-format": ["combined", { accessLogFormat: "combined" }],
  "access-log-query": ["true", { accessLogQuery: true }],
};

Deno.test("without flags and variables, the defaults apply", () => {
  assertEquals(DEFAULTS, {
    listen: [{ hostname: "0.0.0.0", port: 80 }],
    admin: { hostname: "127.0.0.1", port: 1323 },
    adminPublic: false,
    adminHttps: false,
    domain: "cless.cloud",
    domainGiven: false,
    publicUrl: undefined,
    oidcHost: undefined,
    dataDir: "/var/lib/cless",
    secretKey: undefined,
    configFile: undefined,
    convention: true,
    wakeExceptRobots: false,
    wakeLog: "path",
    allowHostPaths: [],
    noHostAccess: false,
    engine: "docker",
    managers: [],
    openPorts: false,
    peerListen: undefined,
    docker: "docker",
    engineApi: "auto",
    dockerEnv: { host: undefined, context: undefined, platform: undefined, folder: undefined },
    freezer: "auto",
    freezerSocket: "/run/cless-freezer.sock",
    portRange: { first: 20000, last: 29999 },
    upstream: "auto",
    forward: FORWARD,
    startTimeoutMs: 30_000,
    requestTimeoutMs: 300_000,
    clientTimeoutMs: 60_000,
    streamBudgetBytes: 64 * 1024 ** 2,
    pauseAfterMs: 60_000,
    hibernateAfterMs: 300_000,
    stopAfterMs: 600_000,
    stopHibernatedAfterMs: 86_400_000,
    swapBudgetBytes: undefined,
    drainTimeoutMs: 30_000,
    maxPending: 2000,
    maxInFlight: undefined,
    memoryBudgetBytes: 4e9,
    defaultMemoryBytes: 4e9,
    defaultCpus: undefined,
    takeOver: false,
    notifySocket: undefined,
    onExit: "stop",
    trustedProxies: [],
    accessLog: undefined,
    accessLogFormat: "json",
    accessLogQuery: false,
    logFormat: "json",
    logLevel: "info",
  });
});

Deno.test("every flag of serve has a setting, and every setting has a flag", () => {
  assertEquals(serve.flags.map((flag) => flag.name).sort(), Object.keys(SETTINGS).sort());
  const covered = new Set(Object.values(SETTINGS).flatMap(([, setting]) => Object.keys(setting)));
  // everybody can see a flag in the list of processes
  assertEquals([...covered, "dockerEnv", "notifySocket", "secretKey"].sort(), Object.keys(DEFAULTS).sort());
});

Deno.test("a domain that is named besides a public URL stays the domain", () => {
  const { domain, domainGiven, publicUrl } = read({ "domain": "example.net", "public-url": "https://example.org" });
  assertEquals([domain, domainGiven, publicUrl?.domain], ["example.net", true, "example.org"]);
});

Deno.test("the key of the secrets can only be given as a variable", () => {
  assertEquals(read({}, { CLESS_SECRET_KEY: "a key" }).secretKey, "a key");
  assertEquals(read({}, { CLESS_SECRET_KEY: "" }).secretKey, undefined);
});

Deno.test("the docker command's variables are read, and empty ones count as missing", () => {
  const folder = (env: Record<string, string>) => read({}, env).dockerEnv.folder;
  assertEquals(folder({ HOME: "/home/ann", DOCKER_CONFIG: "" }), "/home/ann/.docker");
  assertEquals(folder({ HOME: "/home/ann", DOCKER_CONFIG: "/etc/docker-cli" }), "/etc/docker-cli");
  assertEquals(folder({ HOME: "/home/ann", DOCKER_CONFIG: "relative" }), undefined);
  assertEquals(folder({ HOME: "" }), undefined);
  const env = { DOCKER_HOST: "tcp://h:1", DOCKER_CONTEXT: "c", DOCKER_DEFAULT_PLATFORM: "linux/arm64" };
  assertEquals(read({}, env).dockerEnv, {
    host: "tcp://h:1",
    context: "c",
    platform: "linux/arm64",
    folder: undefined,
  });
  assertEquals(read({}, { DOCKER_HOST: "", DOCKER_CONTEXT: "" }).dockerEnv, DEFAULTS.dockerEnv);
});

Deno.test("every repeatable flag makes a list, and no other one does", () => {
  for (const { name, repeatable = false } of serve.flags) {
    const setting = Object.values(SETTINGS[name]![1])[0];
    assertEquals(Array.isArray(setting), repeatable, name);
  }
});

for (const [flag, [text, setting]] of Object.entries(SETTINGS)) {
  const toggles = serve.flags.find(({ name }) => name === flag)?.value === undefined;
  /** The flag without which it is refused. */
  const besides: Flags = setting.engine === undefined ? {} : { engine: setting.engine };

  Deno.test(`--${flag} and ${variableOf(flag)} set the same thing`, () => {
    const given = { ...besides, [flag]: toggles ? text === "true" : text };
    assertEquals(plain(read(given)), { ...DEFAULTS, ...setting });
    const others = flag === "engine" ? {} : besides;
    assertEquals(plain(read(others, { [variableOf(flag)]: text })), { ...DEFAULTS, ...setting });
  });

  Deno.test(`--${flag} wins over ${variableOf(flag)}, even over a wrong one`, () => {
    const given = { ...besides, [flag]: toggles ? text === "true" : text };
    assertEquals(plain(read(given, { [variableOf(flag)]: "\0" })), { ...DEFAULTS, ...setting });
  });
}

Deno.test("it is known which settings were given, and whether by a flag or a variable", () => {
  const variables = { CLESS_STOP_AFTER: "1h", CLESS_PAUSE_AFTER: "1m", CLESS_CONVENTION: "false", CLESS_CPUS: "" };
  const { sources } = read({ "pause-after": "5s", "wake-except-robots": true, "take-over": false }, variables);
  assertEquals(Object.fromEntries(sources), {
    "pause-after": "--pause-after",
    "stop-after": "CLESS_STOP_AFTER",
    "convention": "CLESS_CONVENTION",
    "wake-except-robots": "--wake-except-robots",
    "take-over": "--no-take-over",
  });
  assertEquals(read().sources.size, 0);
});

Deno.test("an empty variable counts as missing", () => {
  const variables = Object.fromEntries(Object.keys(SETTINGS).map((flag) => [variableOf(flag), ""]));
  assertEquals(plain(read({}, variables)), DEFAULTS);
  const blank = Object.fromEntries(Object.keys(SETTINGS).map((flag) => [variableOf(flag), " "]));
  assertEquals(plain(read({}, blank)), DEFAULTS);
});

Deno.test("a variable lists several values with commas if its flag is repeatable", () => {
  const config = read({}, { CLESS_LISTEN: "a:1, [::]:2,:3", CLESS_TRUSTED_PROXY: "10.0.0.0/8,::1" });
  assertEquals(config.listen.map(({ hostname }) => hostname), ["a", "::", "0.0.0.0"]);
  assertEquals(config.trustedProxies.length, 2);
});

Deno.test("a comma in the variable of a single value is part of it", () => {
  assertEquals(read({}, { CLESS_DATA_DIR: "/srv/a,b", CLESS_DOCKER: "x,y" }).dataDir, "/srv/a,b");
  assertEquals(
    assertThrows(() => read({}, { CLESS_ADMIN: "a:1,b:2" }), UsageError).message,
    'CLESS_ADMIN: "a:1,b:2" is not allowed: expected HOST:PORT such as 127.0.0.1:8080 or [::]:80, with a port from 0 to 65535',
  );
});

Deno.test("a switch's variable is true or false, or 1 or 0", () => {
  const convention = (text: string) => read({}, { CLESS_CONVENTION: text }).convention;
  assertEquals(["true", "1", "false", "0"].map(convention), [true, true, false, false]);
  assertEquals(
    assertThrows(() => convention("yes"), UsageError).message,
    'CLESS_CONVENTION: "yes" is not allowed: expected true, false, 1 or 0',
  );
});

/** Wrong values, and what the message says is allowed. */
const WRONG: [flag: string, text: string, allowed: RegExp][] = [
  ["listen", "80", /^expected HOST:PORT such as .*, with a port from 0 to 65535$/],
  ["listen", "127.0.0.1:99999", /a port from 0 to 65535$/],
  ["admin", "a:b", /^expected HOST:PORT/],
  ["domain", "exa mple", /^expected a domain name such as example\.org$/],
  ["domain", "10.0.0.1", /^expected a domain name/],
  ["domain", "a.org:80", /^expected a domain name/],
  ["domain", "-a.org", /^expected a domain name/],
  ["trusted-proxy", "10.0.0.0/33", /^expected an address or a range such as/],
  ["start-timeout", "-1s", /^expected a duration such as 250ms, 30s, 5m or 1h \(at most 24 days\), or 0 for never$/],
  ["request-timeout", "30", /^expected a duration/],
  ["stop-after", "", /^expected a duration/],
  ["drain-timeout", "100d", /^expected a duration/],
  ["max-pending", "0", /^expected a whole number from 1 to 9999999$/],
  ["max-in-flight", "-1", /^expected a whole number up to 9999999, or 0 for no limit$/],
  ["max-pending", "1.5", /^expected a whole number/],
  ["max-pending", "10000000", /^expected a whole number/],
  ["allow-host-path", "data", /^expected an absolute path without \. and \.\.$/],
  ["allow-host-path", "/srv/../etc", /^expected an absolute path/],
  ["engine", "podman", /^expected docker or swarm$/],
  ["manager", "10.0.0.1", /^expected HOST:PORT such as/],
  ["manager", ":1324", /^expected HOST:PORT of another machine's cless, such as 10\.0\.0\.1:1324$/],
  ["manager", "10.0.0.1:0", /^expected HOST:PORT of another machine's cless/],
  ["peer-listen", "1324", /^expected HOST:PORT such as/],
  ["upstream", "Direct", /^expected auto, direct or published$/],
  ["forward", "Exact", /^expected exact or fetch$/],
  ["port-range", "20000", /^expected FIRST-LAST such as 20000-29999, with ports from 1 to 65535$/],
  ["port-range", "0-1", /^expected FIRST-LAST/],
  ["port-range", "2-1", /^expected FIRST-LAST/],
  ["port-range", "1-65536", /^expected FIRST-LAST/],
  ["memory-budget", "1.5g", /^expected a size such as 512k/],
  ["default-memory", "1m", /^expected at least 6m/],
  ["default-cpus", "0", /^expected a number such as 0\.5 or 2, at most 1024$/],
  ["default-cpus", "2000", /^expected a number such as/],
  ["default-cpus", "1e2", /^expected a number such as/],
  ["on-exit", "Keep", /^expected stop or keep$/],
  ["log-format", "xml", /^expected text or json$/],
  ["log-level", "INFO", /^expected debug, info, warning or error$/],
  ["access-log-format", "text", /^expected json or combined$/],
];

Deno.test("a wrong value is refused in one line that names the flag or variable, and says what is allowed", () => {
  for (const [flag, text, allowed] of WRONG) {
    for (const source of [`--${flag}`, ...text === "" ? [] : [variableOf(flag)]]) {
      const refuse = () => source.startsWith("--") ? read({ [flag]: text }) : read({}, { [source]: text });
      const { message } = assertThrows(refuse, UsageError);
      const start = `${source}: "${text}" is not allowed: `;
      assertEquals(message.slice(0, start.length), start);
      assertMatch(message.slice(start.length), allowed);
    }
  }
});

Deno.test("the wrong one of several values is named", () => {
  const { message } = assertThrows(() => read({ listen: ["a:1", "b"] }), UsageError);
  assertEquals(message.startsWith('--listen: "b" is not allowed'), true);
});

Deno.test("all wrong values are told at once", () => {
  const around = { root: false };
  const refused = () =>
    read({ listen: ["a", "b"], domain: "x y", "no-host-access": true }, { HOME: "/h", CLESS_ADMIN: "c" }, around);
  const { lines } = assertThrows(refused, UsageError);
  const sources = lines.map((line) => line.slice(0, line.search(/[:\s]/)));
  assertEquals(sources, ["--listen", "--listen", "--domain", "--no-host-access", "CLESS_ADMIN"]);
});

Deno.test("settings cannot be changed", () => {
  const config = read();
  assert(Object.isFrozen(config));
  assertThrows(() => Object.assign(config, { maxPending: 1 }), TypeError);
});

Deno.test("the state of a program that does not run as root goes where the XDG specification says", () => {
  const dataDir = (variables: Record<string, string>) => read({}, variables, { root: false }).dataDir;
  assertEquals(dataDir({ HOME: "/home/ann" }), "/home/ann/.local/state/cless");
  assertEquals(dataDir({ HOME: "/home/ann", XDG_STATE_HOME: "/state" }), "/state/cless");
  assertEquals(dataDir({ HOME: "/home/ann", XDG_STATE_HOME: "" }), "/home/ann/.local/state/cless");
  assertEquals(dataDir({ XDG_STATE_HOME: "/state" }), "/state/cless");
  // "If an implementation encounters a relative path … it should consider the path invalid and ignore it."
  assertEquals(dataDir({ HOME: "/home/ann", XDG_STATE_HOME: "state" }), "/home/ann/.local/state/cless");
});

Deno.test("the state of a program that runs as root goes to /var/lib, whatever the variables say", () => {
  assertEquals(read({}, { HOME: "/root", XDG_STATE_HOME: "/state" }).dataDir, "/var/lib/cless");
});

Deno.test("what is for several machines is refused on one, by the name under which it was given", () => {
  for (const [flag, value] of [["manager", "10.0.0.1:1324"], ["open-ports", "true"], ["peer-listen", ":1"]]) {
    const refused = `${variableOf(flag!)} is for several machines; add --engine swarm, or leave it out`;
    assertEquals(assertThrows(() => read({}, { [variableOf(flag!)]: value! }), UsageError).message, refused);
  }
  const { message } = assertThrows(() => read({ "engine": "docker", "manager": "a:1" }), UsageError);
  assertEquals(message, "--manager is for several machines; add --engine swarm, or leave it out");
});

Deno.test("what a Swarm cannot do is refused in a sentence, and the defaults are not", () => {
  const refused: [flag: string, value: string | boolean, why: RegExp][] = [
    ["no-host-access", true, /network of cless's own/],
    ["engine-api", "command", /the engine's socket/],
    ["upstream", "direct", /addresses of their machines/],
    ["upstream", "published", /addresses of their machines/],
  ];
  for (const [flag, value, why] of refused) {
    const { message } = assertThrows(() => read({ engine: "swarm", [flag]: value }), UsageError);
    assertMatch(message, new RegExp(`^--${flag} is not possible with --engine swarm: .*; leave it out$`));
    assertMatch(message, why);
  }
  const variables = { CLESS_ENGINE: "swarm", CLESS_NO_HOST_ACCESS: "false", CLESS_UPSTREAM: "auto" };
  assertEquals(read({ "engine-api": "socket" }, variables).engine, "swarm");
});

Deno.test("--no-host-access needs root", () => {
  const refused = () => read({ "no-host-access": true }, { HOME: "/home/ann" }, { root: false });
  const { message } = assertThrows(refused, UsageError);
  assertEquals(
    message,
    "--no-host-access needs root, since it sets rules of the firewall; run cless with sudo, or leave it out",
  );
});

Deno.test("without a home folder, the place of the state must be given", () => {
  const { message } = assertThrows(() => read({}, {}, { root: false }), UsageError);
  assertEquals(message, "neither HOME nor XDG_STATE_HOME is set; say with --data-dir where to keep the state");
  assertEquals(read({ "data-dir": "x" }, {}, { root: false }).dataDir, "x");
});

Deno.test("on a terminal the log is text", () => {
  assertEquals(read({}, {}, { terminal: true }).logFormat, "text");
  assertEquals(read({ "log-format": "json" }, {}, { terminal: true }).logFormat, "json");
});

Deno.test("an app may use the memory budget at most, or what --default-memory says, or everything", () => {
  const of = (flags: Record<string, string>) => read(flags, {}, { memory: () => 8e9 }).defaultMemoryBytes;
  assertEquals([of({}), of({ "memory-budget": "1g" }), of({ "memory-budget": "0" })], [4e9, 1024 ** 3, Infinity]);
  assertEquals([of({ "default-memory": "64m" }), of({ "default-memory": "0" })], [64 * 1024 ** 2, Infinity]);
  assertEquals(of({ "memory-budget": "1m" }), 6 * 1024 ** 2); // no engine accepts less
});

Deno.test("the memory budget is half of the machine's memory, and can be unlimited", () => {
  assertEquals(read({}, {}, { memory: () => Infinity }).memoryBudgetBytes, Infinity);
  for (const none of ["0", "0g", "00"]) assertEquals(read({ "memory-budget": none }).memoryBudgetBytes, Infinity);
  // a given value needs no look at the machine
  const memory = (): number => fail();
  assertEquals(read({ "memory-budget": "1g" }, {}, { memory }).memoryBudgetBytes, 1024 ** 3);
  assertThrows(() => read({ "memory-budget": "8" }), UsageError, "expected at least 1m, not 8 bytes");
});

Deno.test({ name: "the machine tells how much memory it has", ignore: noRun || Deno.build.os !== "linux" }, () => {
  const bytes = systemSurroundings().memory();
  assert(Number.isSafeInteger(bytes) && bytes > 64 * 1024 ** 2, `${bytes}`);
});

Deno.test("the name of a variable follows from its flag", () => {
  assertEquals(variableOf("trusted-proxy"), "CLESS_TRUSTED_PROXY");
});
