import { assertEquals, assertRejects } from "@std/assert";
import { ImageUnavailable } from "../../src/control/deploy_error.ts";
import { OPEN } from "../../src/model/access.ts";
import type { DeployInput } from "../../src/deploy/deployer.ts";
import { UnknownSecretError } from "../../src/control/secrets/secrets.ts";
import { InvalidError } from "../../src/control/schema/invalid.ts";
import { DomainTakenError, StaleError } from "../../src/control/store.ts";
import type { PullPolicy } from "../../src/model/template.ts";
import { LATEST, TrafficError } from "../../src/model/traffic.ts";
import { AT_ONCE, input, newScene, seen, WAITING } from "./deployer_kit.ts";

const BY = { by: "ci" };
const ALL = [{ revision: LATEST, percent: 100 }];

/** Images of which only some are on this machine. */
function imagesWith(...local: string[]) {
  const asked: PullPolicy[] = [];
  const resolve = (name: string, policy: PullPolicy) => {
    asked.push(policy);
    return local.includes(name)
      ? Promise.resolve({ imageId: `sha256:${name}`, pulled: false })
      : Promise.reject(new ImageUnavailable(`the image ${name} is not on this machine`, { reason: "not_found" }));
  };
  return { asked, images: { resolve } };
}

Deno.test("a plan shows what a deploy would change, and changes nothing", async () => {
  const { images, asked } = imagesWith("one", "two");
  const scene = newScene({ images });
  const { deployer } = scene;
  assertEquals(await deployer.plan("app", input("one", { service: { domains: ["a.example"] } }), BY), {
    change: "create",
    revision: "app-00001",
    changed: [],
    settings: [],
    pull: false,
    traffic: { before: [], after: ALL },
    domains: { before: [], after: ["a.example"] },
    revisionHistory: { before: undefined, after: 20 },
    declaredBy: { before: undefined, after: undefined },
  });
  assertEquals(seen(scene, "app"), { kept: { services: [], revisions: [] }, history: [[]], declared: [], pools: [[]] });
  await deployer.deploy("app", input("one"), AT_ONCE);
  const before = seen(scene, "app");
  const none = await deployer.plan("app", input("one"), BY);
  assertEquals([none.change, none.revision, none.changed, none.traffic.after], ["none", undefined, [], ALL]);
  const update = await deployer.plan("app", input("two", { env: { KEY: "hunter2" }, traffic: 10 }), BY);
  assertEquals([update.change, update.revision, update.pull], ["update", "app-00002", false]);
  assertEquals([...update.changed].sort(), ["env", "image", "imageId"]);
  assertEquals(update.traffic.after, [{ revision: "app-00001", percent: 90 }, { revision: "app-00002", percent: 10 }]);
  const fields = await deployer.plan("app", input("one", { service: { domains: ["b.example"] } }), BY);
  assertEquals([fields.change, fields.revision, fields.domains.after], ["update", undefined, ["b.example"]]);
  const kept = await deployer.plan("app", input("one", { service: { revisionHistory: 5 } }), {
    ...BY,
    declaredBy: "/srv/a.yaml",
  });
  assertEquals(kept.revisionHistory, { before: 20, after: 5 });
  assertEquals(kept.settings, ["revisionHistory", "declaredBy"]);
  const maintenance = await deployer.plan("app", input("one", { service: { maintenance: "Back soon" } }), BY);
  assertEquals([maintenance.change, maintenance.settings], ["update", ["maintenance"]]);
  assertEquals(kept.declaredBy, { before: undefined, after: "/srv/a.yaml" });
  assertEquals(seen(scene, "app"), before);
  assertEquals([...new Set(asked.filter((_, at) => at !== 1))], ["never"]);
});

Deno.test("a revision from before stays as it is, until a deploy renews it", async () => {
  const { images } = imagesWith("one");
  const { deployer, publisher, store } = newScene({ images });
  await deployer.deploy("app", input("one"), AT_ONCE);
  const [made] = store.revisions("app");
  assertEquals(made!.older, false);
  const older = { ...made!, older: true };
  store.revisions = () => [older];
  assertEquals((await publisher.newPool(older)).revision.capabilities.drop, []);
  assertEquals((await deployer.plan("app", input("one"), BY)).change, "none");
  const renewed = await deployer.plan("app", input("one"), { ...BY, renew: true });
  assertEquals([renewed.change, renewed.revision, renewed.changed], ["update", "app-00002", []]);
  const { revision } = await deployer.deploy("app", input("one"), { ...AT_ONCE, renew: true });
  assertEquals([revision.name, revision.older], ["app-00002", false]);
});

Deno.test("a plan shows that an image would be pulled, and pulls nothing", async () => {
  const { images, asked } = imagesWith("here");
  const { deployer } = newScene({ images });
  const { pull, change } = await deployer.plan("app", input("there"), BY);
  assertEquals([pull, change], [true, "create"]);
  assertEquals((await deployer.plan("app", input("here", { pullPolicy: "always" }), BY)).pull, true);
  await assertRejects(() => deployer.plan("app", input("there", { pullPolicy: "never" }), BY), ImageUnavailable);
  assertEquals(asked, ["never", "never", "never"]);
  const broken = { resolve: () => Promise.reject(new ImageUnavailable("the engine does not answer")) };
  await assertRejects(() => newScene({ images: broken }).deployer.plan("app", input("a"), BY), ImageUnavailable);
});

Deno.test("a plan is refused for the same reasons as the deploy", async () => {
  const { deployer } = newScene();
  await deployer.deploy("app", input("one", { service: { domains: ["a.example"] } }), AT_ONCE);
  const plan = (name: string, wish: Parameters<typeof input>[1], options = {}) =>
    deployer.plan(name, input("two", wish), { ...BY, ...options });
  await assertRejects(() => plan("app", {}, { ifMatch: 7 }), StaleError);
  await assertRejects(() => plan("other", { service: { domains: ["a.example"] } }), DomainTakenError);
  await assertRejects(() => plan("app", { targets: [{ revision: "app-00009", percent: 100 }] }), TrafficError);
  await assertRejects(() => plan("app", { secretEnv: { KEY: "key" } }), Error, "there is no secret key");
});

Deno.test("what the machine or its settings do not allow is refused with its field, before the image is looked for", async () => {
  const { images, asked } = imagesWith();
  const { deployer } = newScene({
    images,
    rules: {
      checkEnv: (name, value) => name === "PATH" && value.includes("\n") ? "PATH has to be one line" : undefined,
      reservedHostnames: ["admin.localhost", "admin.cless.cloud"],
    },
  });
  const refused = async (wish: Parameters<typeof input>[1], message: string) => {
    for (const ask of [deployer.plan.bind(deployer), deployer.deploy.bind(deployer)]) {
      assertEquals((await assertRejects(() => ask("app", input("a", wish), WAITING), InvalidError)).message, message);
    }
  };
  await refused({ env: { A: "a\nb", PATH: "a\nb" } }, "env.PATH: PATH has to be one line");
  const domains = ["a.example", "admin.cless.cloud"];
  await refused({ service: { domains } }, "domains.1: admin.cless.cloud leads to cless itself; take another one");
  const targets = [{ revision: LATEST, percent: 100, tag: "t".repeat(59) }];
  const label = `${"t".repeat(59)}--app is a label of a hostname`;
  await refused({ targets }, `traffic.0.tag: must be at most 58 characters here, since ${label}`);
  assertEquals(asked, []);
});

Deno.test("a domain cannot be another service's address, nor a new service's address another service's domain", async () => {
  const { deployer } = newScene();
  const withDomains = (...domains: string[]) => input("one", { service: { domains } });
  await deployer.deploy("web", withDomains("www.cless.cloud", "web.cless.cloud", "web.example.org"), AT_ONCE);
  const taken = async (name: string, asked: ReturnType<typeof input>, domain: string) => {
    const error = await assertRejects(() => deployer.deploy(name, asked, WAITING), DomainTakenError);
    assertEquals(error.message, `${domain} belongs to the service web`);
  };
  for (const domain of ["web.localhost", "next--web.cless.cloud"]) await taken("app", withDomains(domain), domain);
  await taken("www", input("one"), "www.cless.cloud");
  const free = ["other.cless.cloud", "a.web.cless.cloud", "web.example.com", "localhost", "cless.cloud"];
  await deployer.deploy("app", withDomains(...free), AT_ONCE);
  await deployer.deploy("web", withDomains("web.cless.cloud"), AT_ONCE);
  await deployer.deploy("www", input("one"), AT_ONCE);
});

Deno.test("a sign-in that cannot work is refused before anything changes", async () => {
  const signInAddresses = {
    problemOf: (_: string, domains: readonly string[]) => domains.length > 0 ? `needs HTTPS at ${domains}` : undefined,
  };
  const secrets = {
    currentVersions: ([name]: Iterable<string>) => {
      if (name !== undefined && name !== "idp") throw new UnknownSecretError(name);
      return {};
    },
  };
  const { declared, deployer } = newScene({ rules: { signInAddresses }, secrets });
  const access = (clientSecret?: string) => ({
    ...OPEN,
    oidc: { issuer: "https://idp.example.org", clientId: "cless", clientSecret, allow: [] },
  });
  const deploy = (service: DeployInput["service"]) => deployer.deploy("app", input("one", { service }), AT_ONCE);
  const missing = "access.oidc.clientSecret: there is no secret other; set it with `cless secret set other`";
  await assertRejects(() => deploy({ access: access("secret:other") }), InvalidError, missing);
  const plain = "access.oidc: needs HTTPS at a.example";
  await assertRejects(() => deploy({ access: access(), domains: ["a.example"] }), InvalidError, plain);
  assertEquals(declared.service("app"), undefined);
  for (const one of [access(), access("secret:idp")]) await deploy({ access: one });
  // One of the two fields changes.
  await assertRejects(() => deploy({ domains: ["a.example"] }), InvalidError, plain);
  await deploy({ access: OPEN, domains: ["a.example"] });
  await assertRejects(() => deploy({ access: access() }), InvalidError, plain);
  await deploy({ revisionHistory: 3 });
});
