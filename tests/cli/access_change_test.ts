import { assertEquals } from "@std/assert";
import { HASH, OTHER_HASH } from "../access/kit.ts";
import { ANSWERS, apiTest, events, TEMPLATE, WEB } from "./fake_api.ts";

const PUT = "PUT /v1/services/web";
const DEPLOYS = { ...ANSWERS, [PUT]: WEB, "GET /v1/events?service=web": events() };

/** The service with these fields, as the API shows it. */
function having(fields: object) {
  return { ...DEPLOYS, "GET /v1/services/web": { ...WEB, ...fields } };
}

const LOCKED = {
  access: {
    allow: ["10.0.0.0/8"],
    basic: { alice: HASH },
    pass: true,
    forward: { url: "http://auth/", headers: ["x-id"] },
    oidc: { issuer: "https://id.example", clientId: "web", clientSecret: "secret:web", allow: ["a@example.org"] },
    except: ["/health"],
  },
  limits: { requestsPerSecond: 5, burst: 10, per: "service", maxBody: "1m" },
  maintenance: "Back soon",
};

apiTest("every flag of deploy for locks and limits sets its field", DEPLOYS, async (api) => {
  const flags = [
    ...["--allow", "10.0.0.0/8", "--allow", "2001:db8::1", "--basic", `alice=${HASH}`, "--basic", `bob=${OTHER_HASH}`],
    ...[
      "--basic-pass",
      "--forward-auth",
      "http://auth/",
      "--oidc-issuer",
      "https://id.example",
      "--oidc-client-id",
      "web",
    ],
    ...["--oidc-client-secret", "web.oidc", "--oidc-allow", "*@example.org", "--oidc-allow", "group:dev"],
    ...[
      "--open-path",
      "/health",
      "--open-path",
      "/webhooks/*",
      "--rate",
      "0.5",
      "--burst",
      "7",
      "--rate-per",
      "service",
    ],
    ...["--max-body", "20m", "--maintenance", "Back at 14:00"],
  ];
  assertEquals((await api.run("deploy", "web", "-q", ...flags)).err, "");
  assertEquals(api.sent(PUT), {
    ...TEMPLATE,
    access: {
      allow: ["10.0.0.0/8", "2001:db8::1"],
      basic: { alice: HASH, bob: OTHER_HASH },
      pass: true,
      forward: "http://auth/",
      oidc: {
        issuer: "https://id.example",
        clientId: "web",
        clientSecret: "secret:web.oidc",
        allow: ["*@example.org", "group:dev"],
      },
      except: ["/health", "/webhooks/*"],
    },
    limits: { requestsPerSecond: 0.5, burst: 7, per: "service", maxBody: "20m" },
    maintenance: "Back at 14:00",
  });
});

apiTest("what no flag mentions stays, and lists grow", having(LOCKED), async (api) => {
  assertEquals((await api.run("deploy", "web", "-q", "--port", "80")).code, 0);
  assertEquals(api.sent(PUT), { ...TEMPLATE, port: 80 });
  const flags = ["--allow", "192.0.2.1", "--allow", "10.0.0.0/8", "--basic", `bob=${OTHER_HASH}`, "--no-basic-pass"];
  const others = ["--forward-auth", "http://new/", "--oidc-allow", "group:dev", "--open-path", "/up", "--rate", "9"];
  assertEquals((await api.run("deploy", "web", "-q", ...flags, ...others)).code, 0);
  const { access } = LOCKED;
  assertEquals(api.sent(PUT), {
    ...TEMPLATE,
    access: {
      allow: ["10.0.0.0/8", "192.0.2.1"],
      basic: { alice: HASH, bob: OTHER_HASH },
      pass: false,
      forward: { url: "http://new/", headers: ["x-id"] },
      oidc: { ...access.oidc, allow: ["a@example.org", "group:dev"] },
      except: ["/health", "/up"],
    },
    limits: { ...LOCKED.limits, requestsPerSecond: 9 },
  });
});

apiTest("--unset resets all of it or a part, before the other flags", having(LOCKED), async (api) => {
  const unset = async (...flags: string[]) => {
    const all = flags.flatMap((flag) => flag.startsWith("-") ? flag.split(" ") : ["--unset", flag]);
    assertEquals((await api.run("deploy", "web", "-q", ...all)).err, "");
    const { access, limits, maintenance } = api.sent(PUT) as Partial<typeof LOCKED>;
    return { access, limits, maintenance };
  };
  const { access, limits } = LOCKED;
  const none = { access: undefined, limits: undefined, maintenance: undefined };
  assertEquals(await unset("access", "limits", "maintenance"), { access: {}, limits: {}, maintenance: "" } as object);
  assertEquals(await unset("access", "--allow 192.0.2.1"), { ...none, access: { allow: ["192.0.2.1"] } } as object);
  const { basic: _, pass: __, ...withoutUsers } = access;
  assertEquals(await unset("basic"), { ...none, access: withoutUsers } as object);
  assertEquals(await unset("allow", "forward-auth", "oidc", "open-path", "basic-pass"), {
    ...none,
    access: { basic: { alice: HASH } },
  } as object);
  assertEquals(await unset("oidc-allow"), { ...none, access: { ...access, oidc: { ...access.oidc, allow: [] } } });
  assertEquals(await unset("rate"), { ...none, limits: { maxBody: "1m" } } as object);
  assertEquals(
    await unset("burst", "max-body"),
    { ...none, limits: { requestsPerSecond: 5, per: "service" } } as object,
  );
  assertEquals(await unset("maintenance", "--maintenance Later"), { ...none, maintenance: "Later" });
  assertEquals(limits.burst, 10);
});

apiTest("a wrong value is one line that names the flag, and shows no hash and no password", DEPLOYS, async (api) => {
  for (
    const [flags, message] of [
      [["--basic", "alice"], '--basic needs USER=HASH: "alice" has no ='],
      [["--basic", "=x"], "--basic needs USER=HASH: no USER stands before ="],
      [["--basic", HASH], "--basic needs USER=HASH: it begins with a hash"],
      [
        ["--basic", "alice=hunter2"],
        "--basic: what follows alice= is not a whole hash; it needs one that cless password prints, in single quotes, since it has $ in it",
      ],
      [["--allow", "10.0.0.0/99"], '--allow: "10.0.0.0/99" is not allowed: expected an address or a range such as'],
      [["--rate", "many"], '--rate: "many" is not allowed: expected a number such as 0.5 or 2'],
      [["--burst", "1.5"], '--burst: "1.5" is not allowed: expected a whole number'],
      [["--rate-per", "user"], '--rate-per: "user" is not allowed: expected address or service'],
      [["--max-body", "20 MB"], '--max-body: "20 MB" is not allowed: expected a size such as'],
    ] as const
  ) {
    const { code, err } = await api.run("deploy", "web", ...flags);
    assertEquals([code, err.slice(0, message.length + 7)], [2, `cless: ${message}`]);
    assertEquals(err.includes("hunter2") || err.includes(HASH.slice(20)), false);
  }
});

apiTest("describe and services show who may use a service, its limits and maintenance, and no hash", {
  ...having(LOCKED),
  "GET /v1/services": [{ ...WEB, ...LOCKED }],
}, async (api) => {
  const { out } = await api.run("describe", "web");
  for (
    const line of [
      "May use it:      from 10.0.0.0/8, or with a password of alice, or if http://auth/ agrees, or signed in at https://id.example as a@example.org",
      "Without a lock:  /health",
      "Limits:          5 requests per second, 10 at once; bodies of 1m",
      'Maintenance:     "Back soon"',
    ]
  ) assertEquals(out.split("\n").includes(line), true, `${line}\n${out}`);
  assertEquals(out.includes("scrypt"), false);
  assertEquals((await api.run("services")).out.endsWith("ready (maintenance)"), true);
});

apiTest("a preview names the fields, and the history shows the change without hashes", {
  ...DEPLOYS,
  [PUT]: {
    change: "update",
    changed: ["env"],
    settings: ["access", "limits"],
    pull: false,
    traffic: {},
    domains: {},
    revisionHistory: {},
    declaredBy: {},
  },
  "GET /v1/services/web/history": [
    {
      at: "2026-11-25T10:00:00.000Z",
      by: "admin",
      action: "deploy",
      before: { latestRevision: "web-00001", access: { allow: [], basic: ["alice"], except: [] } },
      after: { latestRevision: "web-00001", access: { allow: [], basic: ["alice"], except: [] }, settings: ["access"] },
    },
    {
      at: "2026-11-25T10:00:00.000Z",
      by: "admin",
      action: "deploy",
      before: { latestRevision: "web-00001" },
      after: {
        latestRevision: "web-00001",
        access: { allow: ["10.0.0.0/8"], basic: ["alice"], except: ["/up"] },
        limits: { per: "address", requestsPerSecond: 5, maxBody: 2 ** 20 },
        maintenance: "Back soon",
        settings: ["access", "limits", "maintenance"],
      },
    },
  ],
}, async (api) => {
  assertEquals((await api.run("deploy", "web", "--dry-run", "--rate", "5")).out, "~ web  env, access, limits");
  const [, first, second] = (await api.run("history", "web")).out.split("\n");
  assertEquals(first?.endsWith("deploy  passwords or details of access"), true, first);
  assertEquals(
    second?.endsWith(
      "deploy  who may use it everybody → from 10.0.0.0/8, or with a password of alice; without a lock - → /up; " +
        'limits - → 5 requests per second and address; bodies of 1m; maintenance - → "Back soon"',
    ),
    true,
    second,
  );
});

apiTest(
  "export writes locks and limits, and refuses a token that may not see the hashes",
  having(LOCKED),
  async (api) => {
    const { out } = await api.run("export", "web", "--no-traffic");
    assertEquals(
      out.includes(HASH) && out.includes("maintenance: Back soon") && out.includes("maxBody: 1m"),
      true,
      out,
    );
    const masked = { ...LOCKED, access: { ...LOCKED.access, basic: { alice: "***" } } };
    api.answers["GET /v1/services/web"] = { ...WEB, ...masked };
    const { code, err } = await api.run("export", "web");
    const message = "this token may not read the hashes of passwords of web; export needs one of scope deploy";
    assertEquals([code, err], [1, `cless: ${message}`]);
  },
);
