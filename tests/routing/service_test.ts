import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Service, SleepingShare, wakingOf } from "../../src/routing/service.ts";
import type { Loading } from "../../src/model/service.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { conventionService, newKit, newRevision } from "../support/kit.ts";

function newPools(): [InstancePool, InstancePool, InstancePool] {
  const kit = newKit();
  const pool = (name: string) => kit.newPool(newRevision(`sha256:${name}`));
  return [pool("one"), pool("two"), pool("three")];
}

Deno.test("the choice for a request stands unless the revision has lost its share and tag", () => {
  const [one, two, three] = newPools();
  const shares = [{ pool: one, percent: 100 }, { pool: two, percent: 0, tag: "next" }];
  const service = new Service("app", { shares });
  assertStrictEquals(service.route(), one);
  assertStrictEquals(service.route(two), two);
  assertStrictEquals(service.route(three), one);
});

Deno.test("requests of a service that was found go to its old revision until the new one takes over", () => {
  const [one, two, three] = newPools();
  const service = conventionService("app", one, two);
  assertStrictEquals(service.route(), one);
  assertStrictEquals(service.route(three), one);
  assertEquals([service.main() === one, service.convention, service.domains, service.tagged], [true, true, [], []]);
  assertEquals(service.pools(), [one, two]);
  assertStrictEquals(conventionService("app", two).route(one), two);
});

Deno.test("the main revision is the one with the largest share, of several the first", () => {
  const [one, two, three] = newPools();
  const main = (...percents: number[]) => {
    const shares = [one, two, three].map((pool, at) => ({ pool, percent: percents[at]! }));
    return new Service("app", { shares }).main();
  };
  assertStrictEquals(main(20, 50, 30), two);
  assertStrictEquals(main(40, 20, 40), one);
  assertStrictEquals(main(0, 0, 100), three);
});

Deno.test("each tag is an address of its own that leads to its revision alone", () => {
  const [one, two] = newPools();
  const shares = [{ pool: one, percent: 100, tag: "live" }, { pool: two, percent: 0, tag: "next" }];
  const { tagged } = new Service("app", { shares });
  assertEquals(tagged.map(({ label }) => label), ["live--app", "next--app"]);
  tagged.forEach((revision, at) => assertStrictEquals(revision.route(), [one, two][at]));
});

Deno.test("the pool of a share is made when it is first read, once, and tried again if it could not be made", () => {
  const [one, two] = newPools();
  const made: string[] = [];
  const maker = {
    fails: true,
    make({ name }: { name: string }) {
      if (this.fails) throw new Error("the secret cannot be read");
      made.push(name);
      return one;
    },
  };
  const share = new SleepingShare({ percent: 100 }, { name: "app-00001" }, maker);
  const service = new Service("app", { shares: [share, { pool: two, percent: 0, tag: "next" }] });
  assertEquals([share.unmade, service.pools(), service.kept()], ["app-00001", [two], []]);
  assertThrows(() => service.route(), Error, "the secret cannot be read");
  assertEquals([share.unmade, service.poolOf("none")], ["app-00001", undefined]);
  maker.fails = false;
  assertStrictEquals(service.poolOf("app-00001"), one);
  assertStrictEquals(service.route(), one);
  assertEquals([share.unmade, made, service.pools()], [undefined, ["app-00001"], [one, two]]);
  assertStrictEquals(service.poolOf(two.revision.name), two);
});

Deno.test("a service keeps up the revisions that get requests and have a minimum, and no tagged one without a share", () => {
  const kit = newKit();
  const [none, least, tagged] = [0, 1, 1].map((minInstances, n) => ({
    pool: kit.newPool({ ...newRevision(`sha256:${n}`), minInstances }),
    percent: n < 2 ? 50 : 0,
    ...(n < 2 ? {} : { tag: "next" }),
  }));
  const service = new Service("app", { shares: [none!, least!, tagged!] });
  assertEquals(service.kept(), [least!.pool]);
  assertEquals(service.tagged.map(({ convention, name }) => [convention, name]), [[false, "app"]]);
});

Deno.test("the requests of a service are not examined unless it has exceptions or a page, or robots are excepted", () => {
  const waking = (userAgents: string[], loading: Loading, exceptRobots: boolean) =>
    wakingOf({ wake: { except: { userAgents, paths: [] } }, loading }, exceptRobots);
  assertEquals(waking([], "hold", false), undefined);
  assertEquals(waking([], "page", false), { rules: undefined, page: true });
  const robots = waking(["Bot"], "hold", true)!;
  assertEquals(["GPTBot", "Bot", "Zabbix", "curl"].map((name) => robots.rules!.mayWake(name, "/")), [
    false,
    false,
    false,
    true,
  ]);
  assertEquals([robots.page, waking(["Bot"], "hold", false)!.rules!.mayWake("Zabbix", "/")], [false, true]);
});
