import { assertEquals } from "@std/assert";
import { deployerTarget } from "../../src/deploy/config_file.ts";
import type { Deployed, Deployer } from "../../src/deploy/deployer.ts";
import type { ServiceRecord } from "../../src/control/records.ts";
import { parseService } from "../../src/control/schema/schema.ts";

/** A service at a generation. */
function service(name: string, generation: number, declaredBy?: string) {
  return { name, generation, declaredBy, domains: [] as readonly string[] } as ServiceRecord;
}

/** A deployer that knows one service and records its calls. */
function notingDeployer(generationAfter: number) {
  const calls: unknown[] = [];
  const declared = {
    service: (name: string) => name === "web" ? service("web", 4) : undefined,
    after: () => [service("web", 4, "/srv/a.yaml"), service("mine", 1)],
  };
  const deployer: Pick<Deployer, "plan" | "deploy" | "delete"> = {
    plan: (...call) => {
      calls.push(["plan", ...call]);
      return Promise.resolve({
        ...{ change: "update", revision: "web-00002", changed: ["env"], settings: ["domains"], pull: false },
        traffic: { before: [], after: [{ revision: "latest", percent: 100 }] },
        domains: { before: ["a.example"], after: [] },
        revisionHistory: { before: 20, after: 5 },
        declaredBy: { before: undefined, after: "/srv/a.yaml" },
      });
    },
    deploy: (...call) => {
      calls.push(["deploy", ...call]);
      return Promise.resolve({ service: service(call[0], generationAfter) } as Partial<Deployed> as Deployed);
    },
    delete: async (...call) => void await calls.push(["delete", ...call]),
  };
  return { calls, deployer, declared };
}

const WEB = parseService("web", { image: "web" });

Deno.test("a manifest's changes become plans, deploys and deletes of the deployer", async () => {
  const { calls, declared, deployer } = notingDeployer(5);
  const { signal } = new AbortController();
  const target = deployerTarget(deployer, declared, signal);
  assertEquals(await target.list(), [
    { name: "web", declaredBy: "/srv/a.yaml", domains: [] },
    { name: "mine", declaredBy: undefined, domains: [] },
  ]);
  assertEquals(await target.preview("web", WEB, "/srv/a.yaml"), {
    change: "update",
    revision: "web-00002",
    changed: ["env"],
    settings: ["domains"],
    pull: false,
    traffic: { before: [], after: [{ revision: "latest", percent: 100 }] },
    domains: { before: ["a.example"], after: [] },
    revisionHistory: { before: 20, after: 5 },
    declaredBy: { before: undefined, after: "/srv/a.yaml" },
  });
  await target.deploy("web", WEB, "/srv/a.yaml");
  await target.remove("old");
  assertEquals(calls, [
    ["plan", "web", WEB, { by: "config", declaredBy: "/srv/a.yaml" }],
    ["deploy", "web", WEB, { by: "config", declaredBy: "/srv/a.yaml", wait: true, signal }],
    ["delete", "old", { by: "config" }],
  ]);
});

Deno.test("a deploy that leaves the generation as it was has changed nothing", async () => {
  const change = async (name: string, generation: number) => {
    const { declared, deployer } = notingDeployer(generation);
    const { signal } = new AbortController();
    return (await deployerTarget(deployer, declared, signal).deploy(name, WEB, undefined)).change;
  };
  assertEquals([await change("web", 4), await change("web", 5), await change("shop", 1)], ["none", "update", "create"]);
});
