import { assertEquals } from "@std/assert";
import { parseHostname } from "../../src/model/host.ts";
import { Activator } from "../../src/routing/activator.ts";
import { Service, type Share } from "../../src/routing/service.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { Router } from "../../src/routing/router.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { conventionService, type Kit, never, newKit, newRevision } from "../support/kit.ts";
import { Random } from "../support/random.ts";

/** Pools by name: the image is the name. */
function newPools<Name extends string>(kit: Kit, ...names: Name[]): Record<Name, InstancePool> {
  return Object.fromEntries(names.map((name) => [name, kit.newPool(newRevision(`sha256:${name}`))])) as Record<
    Name,
    InstancePool
  >;
}

function declared(name: string, shares: Share[], domains: string[] = []): Service {
  const random = new Random(1);
  return new Service(name, { domains, shares, random: () => random.between(0, 999_999) / 1_000_000 });
}

/** A map, and the pools that it has retired. */
function newMap() {
  const retired: InstancePool[] = [];
  return { retired, services: new ServiceMap({ retire: (pool) => void retired.push(pool) }) };
}

function found(services: ServiceMap, host: string): InstancePool | undefined {
  return services.find(parseHostname(host)!)?.route();
}

Deno.test("a declared service is found by its name, its domains, and its tags", () => {
  const { blue, green } = newPools(newKit(), "blue", "green");
  const services = newMap().services;
  services.put(declared("app", [{ pool: blue, percent: 100 }, { pool: green, percent: 0, tag: "next" }], [
    "www.example.org",
  ]));
  for (const host of ["app.cless.cloud", "app.localhost:8080", "www.example.org", "WWW.Example.org."]) {
    assertEquals(found(services, host), blue, host);
  }
  assertEquals(found(services, "next--app.localhost"), green);
  for (const host of ["other--app.localhost", "www.example.com", "example.org"]) {
    assertEquals(found(services, host), undefined, host);
  }
});

Deno.test("a custom domain comes before the service that its first label names", () => {
  const { shop, www } = newPools(newKit(), "shop", "www");
  const services = newMap().services;
  services.put(declared("www", [{ pool: www, percent: 100 }]));
  services.put(declared("shop", [{ pool: shop, percent: 100 }], ["www.example.org"]));
  assertEquals([found(services, "www.example.org"), found(services, "www.example.com")], [shop, www]);
});

Deno.test("a service replaces the one of its name with all of its addresses", () => {
  const { blue, green } = newPools(newKit(), "blue", "green");
  const services = newMap().services;
  services.put(declared("app", [{ pool: blue, percent: 100, tag: "old" }], ["a.example.org", "b.example.org"]));
  services.put(declared("app", [{ pool: green, percent: 100, tag: "new" }], ["b.example.org"]));
  const at = (host: string) => found(services, host);
  assertEquals([at("app.localhost"), at("b.example.org"), at("new--app.localhost")], [green, green, green]);
  assertEquals([at("a.example.org"), at("old--app.localhost")], [undefined, undefined]);
  services.delete("app");
  services.delete("app");
  for (const host of ["app.localhost", "b.example.org", "new--app.localhost"]) assertEquals(at(host), undefined);
  assertEquals(services.get("app"), undefined);
});

Deno.test("a declared service replaces one that was found by its image", () => {
  const { found: image, blue } = newPools(newKit(), "found", "blue");
  const services = newMap().services;
  services.put(conventionService("app", image));
  services.put(declared("app", [{ pool: blue, percent: 100 }]));
  assertEquals([found(services, "app.localhost"), services.found()], [blue, []]);
});

Deno.test("the pools that a change leaves without a share or a tag are retired once no request goes there any more", () => {
  const { blue, green, red, spare } = newPools(newKit(), "blue", "green", "red", "spare");
  const seen: unknown[] = [];
  const services: ServiceMap = new ServiceMap({
    retire: (pool) => void seen.push([pool.revision.imageId.slice(7), found(services, "app.localhost") === pool]),
  });
  services.put(declared("app", [{ pool: blue, percent: 100 }, { pool: green, percent: 0, tag: "next" }]));
  services.put(declared("app", [{ pool: red, percent: 50 }, { pool: green, percent: 50 }]), [red, spare]);
  assertEquals(seen.splice(0), [["blue", false], ["spare", false]]);
  services.delete("app");
  services.delete("app");
  assertEquals(seen, [["red", false], ["green", false]]);
});

Deno.test("requests are shared out by percent, and a revision with 0 percent gets none", () => {
  const pools = newPools(newKit(), "a", "b", "c");
  const service = declared("app", [
    { pool: pools.a, percent: 30 },
    { pool: pools.b, percent: 0, tag: "b" },
    { pool: pools.c, percent: 70 },
  ]);
  const count = new Map<InstancePool, number>();
  for (let draw = 0; draw < 100_000; draw++) {
    const pool = service.route();
    count.set(pool, (count.get(pool) ?? 0) + 1);
  }
  assertEquals(count.get(pools.b), undefined);
  assertEquals(Math.round(count.get(pools.a)! / 1000), 30);
  assertEquals(service.pools(), [pools.a, pools.b, pools.c]);
});

Deno.test("a revision that has to start first gets its whole share", async () => {
  const kit = newKit();
  const { cold, warm } = newPools(kit, "cold", "warm");
  const services = newMap().services;
  services.put(declared("app", [{ pool: cold, percent: 50 }, { pool: warm, percent: 50 }]));
  const activator = new Activator(new Router(services, undefined), 10_000);
  const host = parseHostname("app.localhost")!;
  const chosen: InstancePool[] = [];
  kit.launcher.on.launch = () => ({ origin: "http://10.0.0.2:8080" });
  for (let request = 0; request < 1000; request++) {
    const pool = activator.find(host)!.route();
    chosen.push(pool);
    const { lease } = await activator.hold(host, pool, never());
    assertEquals(lease.instance.revision, pool.revision);
    lease.release();
  }
  assertEquals(Math.round(chosen.filter((pool) => pool === cold).length / 100), 5);
});

Deno.test("the services that nobody has declared are listed", () => {
  const { found: image, blue } = newPools(newKit(), "found", "blue");
  const services = newMap().services;
  const bare = conventionService("bare", image);
  services.put(bare);
  services.put(declared("app", [{ pool: blue, percent: 100 }]));
  assertEquals(services.found(), [bare]);
  services.put(declared("bare", [{ pool: blue, percent: 100 }]));
  assertEquals(services.found(), []);
});

Deno.test("the pools that get requests and keep a minimum are told so, and are told when that is over", () => {
  const kit = newKit();
  const told: string[] = [];
  const poolOf = (name: string, minInstances: number) => {
    const pool = kit.newPool({ ...newRevision(`sha256:${name}`), minInstances });
    pool.keep = (kept) => void told.push(`${name} ${kept}`);
    return pool;
  };
  const [blue, green, tagged, none] = [poolOf("blue", 1), poolOf("green", 2), poolOf("tagged", 1), poolOf("none", 0)];
  const { services } = newMap();
  const shares = [{ pool: blue, percent: 50 }, { pool: none, percent: 50 }, { pool: tagged, percent: 0, tag: "next" }];
  services.put(declared("app", shares));
  assertEquals([services.kept(), told.splice(0)], [[blue], ["blue true"]]);
  services.put(declared("app", [{ pool: blue, percent: 50 }, { pool: green, percent: 50 }]));
  assertEquals([services.kept(), told.splice(0)], [[blue, green], ["blue true", "green true"]]);
  services.put(declared("web", [{ pool: tagged, percent: 100 }]));
  assertEquals([services.kept(), told.splice(0)], [[blue, green, tagged], ["tagged true"]]);
  services.put(declared("app", [{ pool: green, percent: 100 }]));
  assertEquals([services.kept(), told.splice(0)], [[green, tagged], ["blue false", "green true"]]);
  services.put(declared("app", [{ pool: none, percent: 100 }]));
  assertEquals([services.kept(), told.splice(0)], [[tagged], ["green false"]]);
  services.put(declared("app", [{ pool: green, percent: 100 }]));
  told.length = 0;
  services.delete("app");
  services.delete("app");
  assertEquals([services.kept(), told], [[tagged], ["green false"]]);
});
