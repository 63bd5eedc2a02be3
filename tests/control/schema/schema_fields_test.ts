import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseService } from "../../../src/control/schema/schema.ts";
import { accepted, refusal, refused } from "./bodies.ts";

Deno.test("numbers are limited to their bounds", () => {
  const bounds: [field: string, min: number, max: number][] = [
    ["port", 1, 65535],
    ["concurrency", 0, 100_000],
    ["minInstances", 0, 1000],
    ["maxInstances", 1, 1000],
    ["revisionHistory", 0, 1000],
    ["traffic", 0, 100],
  ];
  for (const [field, min, max] of bounds) {
    const others = field === "minInstances" ? { maxInstances: 1000 } : {};
    accepted([{ ...others, [field]: min }, { ...others, [field]: max }]);
    const wrong = [min - 1, max + 1, min + 0.5, NaN, Infinity, 1e300, `${min}`, null, true];
    refused(field, `must be a whole number from ${min} to ${max}`, wrong.map((value) => ({ [field]: value })));
  }
  accepted([{ cpus: 0.01 }, { cpus: 1024 }]);
  refused("cpus", "must be more than 0", [{ cpus: 0 }, { cpus: -1 }]);
  refused("cpus", "must be at most 1024", [{ cpus: 1024.1 }]);
  refused("cpus", "must be a number", [{ cpus: NaN }, { cpus: Infinity }]);
});

Deno.test("an image is a name that the engine accepts", () => {
  const hex = "0123456789abcdef".repeat(4);
  const good = [
    "shop",
    "shop:v1",
    "acme/shop",
    "a.b/c",
    "a_b",
    "a__b",
    "a---b",
    "localhost:5000/shop:Latest",
    "GHCR.io/x",
  ];
  const pinned = [
    `shop@sha256:${hex}`,
    `ghcr.io/acme/shop:v1@sha256:${hex}`,
  ];
  const others = ["[::1]:5000/shop", "[2001:db8::1]/shop", "127.0.0.1/shop", `shop:${"t".repeat(128)}`, "1"];
  accepted([...good, ...pinned, ...others].map((image) => ({ image })));
  const wrong = [
    "",
    "-shop",
    "--privileged",
    " shop",
    "shop ",
    "sh op",
    "shop\n",
    "shop\0",
    "shop\t",
    "Shop",
    "shop:",
    "shop:-a",
  ];
  const more = [
    "/shop",
    "shop/",
    "a//b",
    "a_.b",
    "a___b",
    "shop@",
    "shop@sha256:abc",
    `shop@md5:${hex}`,
    "https://a/b",
    "a:b:c",
  ];
  const odd = [
    `shop:${"t".repeat(129)}`,
    "é",
    "shop:é",
    "a..b",
    ".a",
    "a.",
    "a/-b",
    `shop@sha256:${hex.toUpperCase()}`,
    `sha256:${hex}`,
    hex,
    `${hex}:v1`,
  ];
  refused("image", "is not a valid name of an image", [...wrong, ...more, ...odd].map((image) => ({ image })));
  refused("image", "must be at most 512 characters", [{ image: "a".repeat(513) }, { image: "a-".repeat(1e5) }]);
});

Deno.test("a reference that is slow to match is refused at once", () => {
  const begun = performance.now();
  for (const part of ["a", "a.", "a-", "a_", "a/", "1:", "a__"]) {
    refusal({ image: part.repeat(512 / part.length - 1) + "!" });
  }
  refusal({ readiness: { path: "/" + "a".repeat(2040) + " " } });
  refusal({ volumes: [{ source: "a", path: "/a".repeat(2000) + "/" }] });
  assert(performance.now() - begun < 2000);
});

Deno.test("variables have the names that a shell allows, and any text as value", () => {
  accepted([{ env: { _: "", a1: "x", A_B: "\n\t\x01é😀" } }, { secretEnv: { A: "a" } }]);
  for (const name of ["A=B", "1A", "A-B", "A B", "Ä", "A\n"]) {
    for (const field of ["env", "secretEnv"]) {
      const error = refusal({ [field]: { [name]: "x" } });
      assertStringIncludes(error.message, "is not a valid name of a variable");
      assertEquals([error.path, error.ofName], [[field, name], true]);
    }
  }
  assertStringIncludes(refusal({ env: { "A=B": "x" } }).message, "env.A=B: is not a valid name");
  assertStringIncludes(refusal({ env: { "": "x" } }).message, 'env."": is not a valid name');
  refused("env.A", "must be text without NUL", [{ env: { A: "a\0b" } }, { env: { A: "\ud800" } }]);
  refused("secretEnv.A", "is not a valid name of a secret", [{ secretEnv: { A: "" } }, { secretEnv: { A: "a b" } }]);
  refused("secretEnv.A", "is in env too", [{ env: { A: "1" }, secretEnv: { A: "a" } }]);
});

Deno.test("a command is a list of texts that begins with a program", () => {
  accepted([{ command: [] }, { command: ["a", ""] }, { command: ["sh", "-c", "two\nlines"] }]);
  accepted([{ command: ["--bind", "0.0.0.0"] }, { command: ["-v"] }, { command: ["--"] }]);
  const programs = ["", "a b", "a\n", "\ta", "a\x7f", "a\u00a0b"];
  refused("command.0", "must be the name of a program", programs.map((program) => ({ command: [program, "a"] })));
  refused("command.1", "must be text without NUL", [{ command: ["a", "b\0"] }]);
  refused("command.1", "must be a text", [{ command: ["a", 1] }, { command: ["a", null] }]);
  refused("command", "must be at most 1000 elements", [{ command: Array(1001).fill("a") }]);
});

Deno.test("variables and commands are limited to the sizes that Linux allows", () => {
  const most = 128 * 1024 - 1;
  accepted([{ env: { A: "x".repeat(most - 2) } }, { command: ["é".repeat((most - 1) / 2)] }]);
  refused("env.A", "must be at most 131071 bytes", [
    { env: { A: "x".repeat(most - 1) } },
    { env: { A: "é".repeat(most / 2) } },
  ]);
  refused("command.1", "must be at most 131071 bytes", [{ command: ["a", "x".repeat(most + 1)] }]);
  const many = (count: number, value: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`V${at}`, value]));
  accepted([{ env: many(1000, "x".repeat(1000)) }]);
  refused("env", "must be at most 1000 variables", [{ env: many(1001, "") }]);
  refused("secretEnv", "must be at most 1000 variables", [{ secretEnv: many(1001, "a") }]);
  refused("env", "at most 1 MiB together", [
    { env: many(1000, "x".repeat(1100)) },
    { env: many(500, "x".repeat(1100)), command: Array(500).fill("x".repeat(1100)) },
  ]);
});

Deno.test("a volume has a name or a host folder, and a path in the container that no other volume has", () => {
  const volumes = (source: string, path = "/data") => ({ volumes: [{ source, path }] });
  accepted(["ab", "data", "A.b_c-1", "/", "/srv/data", "/srv/my data", "/..a/.b"].map((source) => volumes(source)));
  accepted(["/a", "/a/b", "/.a", "/...", "/a b", "/a:b,c"].map((path) => volumes("data", path)));
  const sources = [
    "",
    "a",
    ".",
    "..",
    "-a",
    "./a",
    "../a",
    "a/b",
    "a b",
    "~/a",
    "a:b",
    "/a/",
    "/a//b",
    "/a/../b",
    "/a\0",
  ];
  refused("volumes.0.source", "must be the name of a volume", sources.map((source) => volumes(source)));
  const paths = ["", "/", "a", "./a", "/a/", "//a", "/a//b", "/a/./b", "/a/..", "/..", "/a\nb"];
  refused("volumes.0.path", "must be an absolute path", paths.map((path) => volumes("data", path)));
  const two = [{ source: "one", path: "/a" }, { source: "two", path: "/a" }];
  refused("volumes.1.path", "is also the path of another volume", [{ volumes: two }]);
  refused("maxInstances", "must be 1 with volumes", [{ ...volumes("data"), maxInstances: 2 }]);
});

Deno.test("durations and sizes are texts with units", () => {
  for (const field of ["startTimeout", "requestTimeout", "clientTimeout", "pauseAfter", "stopAfter", "hangAfter"]) {
    accepted(["0", "250ms", "30s", "1h"].map((time) => ({ [field]: time })));
    refused(
      field,
      "expected a duration such as",
      ["", "30", "1d", "never", "0s", "-1s"].map((time) => ({ [field]: time })),
    );
  }
  accepted(["6m", "1g", "6144k", "6291456"].map((memory) => ({ memory })));
  refused("memory", "expected at least 6m, not", ["256", "512k", "6143k"].map((memory) => ({ memory })));
  refused("memory", "expected a size such as", ["", "0", "1.5g", "256mb", "lots"].map((memory) => ({ memory })));
});

Deno.test("a liveness probe has a path and an interval, which cannot be 0", () => {
  accepted([{ liveness: { path: "/health", every: "5s" } }]);
  assertEquals(parseService("shop", { image: "a", liveness: {} }).template.liveness, { path: "/", every: 10_000 });
  refused("liveness.every", "must be more than 0", [{ liveness: { every: "0" } }]);
  refused("liveness.every", "expected a duration", [{ liveness: { every: "soon" } }]);
});

Deno.test("capabilities are names that Linux has, in one of the two lists, ALL in the second alone", () => {
  accepted([{}, { add: ["NET_RAW"], drop: ["ALL"] }, { drop: ["CAP_CHOWN", "CHOWN"] }, { add: [], drop: [] }].map(
    (capabilities) => ({ capabilities }),
  ));
  const { template } = parseService("shop", { image: "a", capabilities: { add: ["CAP_NET_RAW", "KILL"] } });
  assertEquals(template.capabilities, { add: ["NET_RAW", "KILL"], drop: [] });
  for (const name of ["", "net_raw", "NET_ROW", "CAP_CAP_CHOWN", "NET_RAW ", "--privileged"]) {
    refused("capabilities.add.0", "is not a capability of Linux", [{ capabilities: { add: [name] } }]);
    refused("capabilities.drop.0", "is not a capability of Linux", [{ capabilities: { drop: [name] } }]);
  }
  refused("capabilities.add.0", "is not a capability of Linux", [{ capabilities: { add: ["ALL"] } }]);
  refused("capabilities.add.1", "is in drop too", [{ capabilities: { add: ["KILL", "CAP_CHOWN"], drop: ["CHOWN"] } }]);
});

Deno.test("a user, a runtime and a read-only file system are said as the engine takes them", () => {
  accepted(["0", "1000:1000", "www-data", "app:staff", "_x.y-z"].map((user) => ({ user })));
  const users = ["", "-x", "a:", ":1", "a:b:c", "a b", "a/b", "x".repeat(65), "ü"].map((user) => ({ user }));
  refused("user", "must be USER or USER:GROUP", users);
  accepted(["runc", "runsc", "io.containerd.runsc.v1", "kata-fc"].map((runtime) => ({ runtime })));
  const runtimes = ["", "-x", "/usr/bin/runc", "a b", "x".repeat(129)].map((runtime) => ({ runtime }));
  refused("runtime", "must be the name of a runtime", runtimes);
  accepted([{ readOnly: true }, { readOnly: false }]);
  accepted([{ placement: {} }, { placement: { node: "alpha", labels: { "a.b": "fast:1/2" }, spread: "room" } }]);
  refused("placement.node", "must be the name or the id of a machine", [{ placement: { node: "a==b" } }]);
  refused("placement.labels.disk", "must be letters, digits", [{ placement: { labels: { disk: "a b" } } }]);
  refused("placement.spread", "must be the name of a label", [{ placement: { spread: "" } }]);
  refused("readOnly", "must be true or false", [{ readOnly: "yes" }]);
});

Deno.test("a readiness path begins with a slash and has no characters that need encoding", () => {
  accepted(["/", "/a?b=c&d=%20", "/~a//b"].map((path) => ({ readiness: { path } })));
  assertEquals(parseService("shop", { image: "a", readiness: {} }).template.readiness, { path: "/" });
  const wrong = ["", "a", "/a b", "/\n", "/é", "/#a", "http://a/", " /"].map((path) => ({ readiness: { path } }));
  refused("readiness.path", "must be a path that begins with /", wrong);
});

Deno.test("domains are whole hostnames, without duplicates", () => {
  const wrong = ["", "a.b:80", "a.b:", "*.example.org", "1.2.3.4", "[::1]", "a_b.c", "https://a.b", "a b", "a..b"];
  refused("domains.1", "must be a whole hostname", wrong.map((domain) => ({ domains: ["a.example", domain] })));
  accepted([{ domains: [] }, { domains: ["localhost"] }]);
  const { service } = parseService("shop", { image: "a", domains: ["B.example", "a.example", "b.EXAMPLE."] });
  assertEquals(service.domains, ["b.example", "a.example"]);
  refused("domains", "must be at most 100 elements", [{ domains: Array(101).fill("a.example") }]);
});

Deno.test("a tag has the form of a service's name, and fits into a label together with it", () => {
  accepted(["v1", "a", "canary-2"].map((tag) => ({ tag })));
  const wrong = ["", "V1", "1a", "a--b", "-a", "a-", "a.b", "admin", "xn", "a".repeat(41)];
  refused("tag", "must be 1 to 40 lower-case letters", wrong.map((tag) => ({ tag })));
  const tag = "t".repeat(31);
  assertEquals(parseService("s".repeat(30), { image: "a", tag }).tag, tag);
  const error = refusal({ tag }, "s".repeat(31));
  assertStringIncludes(error.message, "tag: must be at most 30 characters here");
});

Deno.test("an invalid name of a service is refused", () => {
  for (const name of ["", "Shop", "a--b", "admin", "1a", "a".repeat(41), "a.b"]) {
    const error = refusal({}, name);
    assertMatch(error.message, /^name: must be 1 to 40 lower-case letters/);
    assertEquals(error.path, ["name"]);
  }
});

Deno.test("exceptions from waking are parts of a User-Agent and paths", () => {
  const agents = (...userAgents: unknown[]) => ({ wake: { except: { userAgents } } });
  const paths = (...paths: unknown[]) => ({ wake: { except: { paths } } });
  accepted([{ wake: {} }, { wake: { except: {} } }, agents(), agents("a", "Mozilla/5.0 (~)", "x".repeat(256))]);
  accepted([paths(), paths("/", "/a", "/a/", "/%20/b!$&'()*+,;=:@"), paths(`/${"x".repeat(255)}`)]);
  refused("wake.except.userAgents.0", "and not empty", [agents("")]);
  refused("wake.except.userAgents.0", "must be printable ASCII", [agents("é"), agents("a\n"), agents("\0")]);
  refused("wake.except.userAgents.0", "at most 256 characters", [agents("x".repeat(257))]);
  refused("wake.except.userAgents.0", "must be a text", [agents(5), agents(null)]);
  refused(
    "wake.except.paths.0",
    "must be a path that begins with /",
    ["", "a", "/?", "/a?b", "/a b", "/é", "/#"].map((
      path,
    ) => paths(path)),
  );
  refused("wake.except.paths.0", "at most 256 characters", [paths(`/${"x".repeat(256)}`)]);
  const many = Array.from({ length: 101 }, (_, at) => `/${at}`);
  accepted([agents(...many.slice(1)), paths(...many.slice(1))]);
  refused("wake.except.userAgents", "at most 100 elements", [agents(...many)]);
  refused("wake.except.paths", "at most 100 elements", [paths(...many)]);
  const both = { wake: { except: { userAgents: ["a"], agents: ["b"] } } };
  refused("wake.except.agents", "is another name of userAgents; give only one of the two", [both]);
  refused("wake.except.agents.0", "and not empty", [{ wake: { except: { agents: [""] } } }]);
  refused("wake.expect", "did you mean `except`", [{ wake: { expect: {} } }]);
});

Deno.test("loading is hold or page", () => {
  accepted([{ loading: "hold" }, { loading: "page" }]);
  refused("loading", "must be one of hold, page", [{ loading: "Page" }, { loading: true }, { loading: null }]);
});

Deno.test("the issuer of a sign-in has HTTPS, except on this machine", () => {
  const body = (issuer: string) => ({ access: { oidc: { issuer, clientId: "cless" } } });
  accepted([
    "https://accounts.google.com",
    "https://auth.example.org/realms/one/",
    "http://localhost:9000",
    "http://auth.localhost/realms/one",
    "http://127.0.0.1:9000",
    "http://[::1]:9000",
  ].map(body));
  const reason =
    "must be an https:// URL without a query, such as https://accounts.example.org; http:// only for localhost";
  const wrong = ["http://auth.example.org", "http://10.0.0.1", "http://localhost.example.org", "https://a.example?b=c"];
  refused("access.oidc.issuer", reason, wrong.map(body));
  for (const text of ["ftp://localhost", "https://user@a.example", "https://a.example#b", "a.example", ""]) {
    refusal(body(text));
  }
});
