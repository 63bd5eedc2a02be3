import { assertEquals, assertRejects } from "@std/assert";
import {
  ApplyError,
  applyManifest,
  type ApplyOptions,
  type ApplyTarget,
  bodyOf,
  readManifest,
} from "../../../src/control/manifest/apply.ts";
import { parseManifest } from "../../../src/control/manifest/manifest.ts";
import { parseService } from "../../../src/control/schema/schema.ts";
import { noRead } from "../../support/permissions.ts";
import { GOOD, yamlTest } from "./manifests.ts";

const FILE = "/srv/services.yaml";

/** A preview without changes. */
const NOTHING = {
  changed: [],
  settings: [],
  pull: false,
  traffic: { before: [], after: [] },
  domains: { before: [], after: [] },
  revisionHistory: {},
  declaredBy: {},
};

/** A target that records its calls. A service with the image `broken` fails to deploy, one with `wrong` is refused. */
class NotingTarget implements ApplyTarget {
  readonly calls: string[] = [];
  readonly #services: Record<string, string | undefined>;

  /** @param services The services that exist, with the files that declare them. */
  constructor(services: Record<string, string | undefined> = {}) {
    this.#services = services;
  }

  list() {
    return Promise.resolve(Object.entries(this.#services).map(([name, declaredBy]) => ({ name, declaredBy })));
  }

  preview(...[name, { template }, declaredBy]: Parameters<ApplyTarget["preview"]>) {
    this.calls.push(`preview ${name} ${declaredBy}`);
    if (template.image === "wrong") return Promise.reject(new Error("cannot be"));
    const change = name in this.#services ? "none" as const : "create" as const;
    return Promise.resolve({ ...NOTHING, change });
  }

  deploy(...[name, { template }, declaredBy]: Parameters<ApplyTarget["deploy"]>) {
    this.calls.push(`deploy ${name} ${declaredBy}`);
    if (template.image === "broken") return Promise.reject(new Error("does not start"));
    return Promise.resolve({ change: name in this.#services ? "none" as const : "create" as const });
  }

  remove(name: string) {
    this.calls.push(`remove ${name}`);
    return Promise.resolve();
  }
}

/** Applies services by name and image, and returns the result of each. */
async function applied(
  services: Record<string, string>,
  target: ApplyTarget,
  options: ApplyOptions = {},
  file?: string,
) {
  const manifest = new Map(Object.entries(services).map(([name, image]) => [name, parseService(name, { image })]));
  const results = await applyManifest(manifest, file, target, options);
  return results.map(({ name, change, error }) => `${name} ${change}${error === undefined ? "" : " failed"}`);
}

Deno.test("everything is previewed before anything changes", async () => {
  const target = new NotingTarget({ a: FILE });
  assertEquals(await applied({ b: "x", a: "x" }, target, {}, FILE), ["b create", "a none"]);
  assertEquals(target.calls, [`preview b ${FILE}`, `preview a ${FILE}`, `deploy b ${FILE}`, `deploy a ${FILE}`]);
});

Deno.test("a manifest with a service that cannot be deployed changes nothing", async () => {
  const target = new NotingTarget();
  const { message } = await assertRejects(() => applied({ a: "x", b: "wrong", c: "x" }, target, {}, FILE), ApplyError);
  assertEquals(message, "/srv/services.yaml: services.b: cannot be");
  assertEquals(target.calls, [`preview a ${FILE}`, `preview b ${FILE}`]);
});

Deno.test("a service that fails does not stop the deploys of others, but their deletes", async () => {
  const target = new NotingTarget({ old: FILE });
  const results = await applied({ a: "broken", b: "x" }, target, { prune: true }, FILE);
  assertEquals(results, ["a create failed", "b create"]);
  assertEquals(target.calls.filter((call) => call.startsWith("remove")), []);
});

Deno.test("only services that the same file has declared are pruned, and only on request", async () => {
  const services = { a: FILE, old: FILE, mine: undefined, other: "/srv/other.yaml" };
  const removed = async (options: ApplyOptions, file?: string) => {
    const target = new NotingTarget(services);
    await applied({ a: "x" }, target, options, file);
    return target.calls.filter((call) => call.startsWith("remove"));
  };
  assertEquals(await removed({ prune: true }, FILE), ["remove old"]);
  assertEquals(await removed({}, FILE), []);
  assertEquals(await removed({ prune: true }), []);
  assertEquals(await removed({ prune: true, dryRun: true }, FILE), []);
});

Deno.test("a dry run shows what would change and changes nothing", async () => {
  const target = new NotingTarget({ a: FILE, old: FILE });
  const results = await applied({ a: "x", b: "broken" }, target, { dryRun: true, prune: true }, FILE);
  assertEquals(results, ["a none", "b create", "old delete"]);
  assertEquals(target.calls.every((call) => call.startsWith("preview")), true);
});

Deno.test("each result is reported as soon as it is known, and an abort leaves the rest", async () => {
  const target = new NotingTarget();
  const aborter = new AbortController();
  const told: string[] = [];
  const onResult = ({ name }: { name: string }) => {
    told.push(name);
    aborter.abort(new Error("enough"));
  };
  const { signal } = aborter;
  await assertRejects(() => applied({ a: "x", b: "x" }, target, { onResult, signal }, FILE), Error, "enough");
  assertEquals([told, target.calls.at(-1)], [["a"], `deploy a ${FILE}`]);
});

yamlTest("the body of what is declared says the same", () => {
  const manifest = parseManifest(
    `${GOOD}  split: { image: a, traffic: [{ revision: latest, percent: 100, tag: now }] }\n`,
    "x",
  );
  for (const name of ["golang", "more"]) {
    const declared = manifest.get(name)!;
    const again = parseService(name, JSON.parse(JSON.stringify(bodyOf(declared))));
    assertEquals(bodyOf(again), bodyOf(declared));
    assertEquals([again.service, again.traffic, again.tag], [declared.service, declared.traffic, declared.tag]);
  }
  assertEquals(bodyOf(manifest.get("split")!)["traffic"], [{ revision: "latest", percent: 100, tag: "now" }]);
});

Deno.test({ name: "the error for an unreadable file names it", ignore: noRead }, async () => {
  await assertRejects(() => readManifest("/nowhere/x.yaml"), ApplyError, "cannot read /nowhere/x.yaml: No such");
});

/** A target with domains, each of which belongs to one service at most. */
class OwningTarget implements ApplyTarget {
  readonly calls: string[] = [];
  readonly domains: Map<string, readonly string[]>;

  constructor(domains: Record<string, readonly string[]>) {
    this.domains = new Map(Object.entries(domains));
  }

  list() {
    return Promise.resolve([...this.domains].map(([name, domains]) => ({ name, domains, declaredBy: FILE })));
  }

  preview(...[name, { service }]: Parameters<ApplyTarget["preview"]>): ReturnType<ApplyTarget["preview"]> {
    const { domains = [] } = service;
    const taken = domains.find((domain) =>
      [...this.domains].some(([owner, its]) => owner !== name && its.includes(domain))
    );
    if (taken !== undefined) return Promise.reject(new Error(`${taken} is taken`));
    const before = this.domains.get(name) ?? [];
    const change = before.join() === domains.join() ? "none" : "update";
    return Promise.resolve({ ...NOTHING, change, domains: { before, after: domains } });
  }

  async deploy(...[name, declared]: Parameters<ApplyTarget["deploy"]>) {
    if (declared.template.image === "broken") throw new Error("does not start");
    const { change } = await this.preview(name, declared, FILE);
    this.domains.set(name, declared.service.domains ?? []);
    this.calls.push(`${name} ${declared.service.domains?.join()}`);
    return { change };
  }

  remove(name: string) {
    this.domains.delete(name);
    return Promise.resolve(void this.calls.push(`remove ${name}`));
  }
}

function owning(services: Record<string, string[]>, image = "x") {
  return new Map(Object.entries(services).map(([name, domains]) => [name, parseService(name, { image, domains })]));
}

Deno.test("a domain moves to another service, which is deployed first", async () => {
  const target = new OwningTarget({ a: ["m.example", "a.example"], b: [] });
  const manifest = owning({ a: ["a.example"], b: ["m.example"] });
  const planned = await applyManifest(manifest, FILE, target, { dryRun: true });
  assertEquals(planned.map(({ name, change }) => `${name} ${change}`), ["a update", "b update"]);
  assertEquals(planned[1]!.preview!.domains, { before: [], after: ["m.example"] });
  assertEquals(target.calls, []);
  const results = await applyManifest(manifest, FILE, target);
  assertEquals(results.map(({ name, change, error }) => [name, change, error]), [
    ["a", "update", undefined],
    ["b", "update", undefined],
  ]);
  assertEquals(target.calls, ["b ", "a a.example", "b m.example"]);
});

Deno.test("services exchange their domains, and one takes those of a deleted service", async () => {
  const target = new OwningTarget({ a: ["a.example"], b: ["b.example"], old: ["o.example"] });
  const manifest = owning({ a: ["b.example"], b: ["a.example"], c: ["o.example"] });
  await assertRejects(() => applyManifest(manifest, FILE, target), ApplyError, "services.c: o.example is taken");
  await applyManifest(manifest, FILE, target, { prune: true });
  assertEquals(Object.fromEntries(target.domains), { a: ["b.example"], b: ["a.example"], c: ["o.example"] });
});

Deno.test("a domain stays where it is if its giver or its receiver fails, and not because of another service", async () => {
  const moved = async (broken: string) => {
    const target = new OwningTarget({ a: ["m.example"], b: [], c: [] });
    const manifest = owning({ a: [], b: ["m.example"], c: [] });
    manifest.set(
      broken,
      parseService(broken, { image: "broken", domains: [...manifest.get(broken)!.service.domains!] }),
    );
    const results = await applyManifest(manifest, FILE, target);
    const errors = results.map(({ name, error }) => `${name}: ${error === undefined ? "" : (error as Error).message}`);
    return [errors, [...target.domains].find(([, domains]) => domains.includes("m.example"))?.[0]];
  };
  assertEquals(await moved("a"), [["a: does not start", "c: ", "b: m.example is taken"], "a"]);
  assertEquals(await moved("c"), [["a: ", "c: does not start", "b: "], "b"]);
  assertEquals(await moved("b"), [["a: ", "c: ", "b: does not start"], "a"]);
});

Deno.test("a service that gives a domain away is not deleted if its receiver fails", async () => {
  const target = new OwningTarget({ old: ["m.example"], b: [] });
  const manifest = new Map([["b", parseService("b", { image: "broken", domains: ["m.example"] })]]);
  const results = await applyManifest(manifest, FILE, target, { prune: true });
  assertEquals([target.calls, target.domains.get("old")], [[], ["m.example"]]);
  assertEquals(results.map(({ name, error }) => [name, (error as Error).message]), [["b", "does not start"]]);
});
