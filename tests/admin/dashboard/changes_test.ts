import { assertEquals, assertRejects } from "@std/assert";
import { Api, ApiError } from "../../../src/admin/dashboard/ui/api.js";
import {
  changeIdleSettings,
  changeTemplate,
  deployed,
  rollBack,
  together,
} from "../../../src/admin/dashboard/ui/changes.js";

/** A service whose revisions are the templates that were deployed, behind the requests that the page makes. */
class FakeApi extends Api {
  templates: Record<string, unknown>[] = [{ image: "shop:1", pauseAfter: "1m" }];
  rollbacks = 0;
  #generation = 1;

  constructor() {
    super({ signedOut: () => {}, connection: () => {} });
  }

  // deno-lint-ignore no-explicit-any
  override json(method: string, path: string, { body, ifMatch }: any = {}): Promise<any> {
    if (method === "GET" && path.includes("/revisions/")) return Promise.resolve({ template: this.templates.at(-1) });
    if (method !== "GET") {
      if (ifMatch !== undefined && ifMatch !== String(this.#generation)) {
        return Promise.reject(new ApiError(412, "the service shop was changed in the meantime"));
      }
      if (method === "PUT") this.templates.push(body);
      else this.rollbacks++;
      this.#generation++;
    }
    const latestRevision = `shop-0000${this.templates.length}`;
    const traffic = [{ revision: "latest", percent: 100 }];
    return Promise.resolve({ name: "shop", latestRevision, traffic, etag: String(this.#generation) });
  }
}

const pauseSooner = (template: Record<string, unknown>) => ({ ...template, pauseAfter: "10s" });

Deno.test("a change is undone by a deploy of the template as it was, and redone by a second undo", async () => {
  const api = new FakeApi();
  const done = await changeTemplate(api, "shop", pauseSooner);
  const undone = await done.undo!();
  assertEquals(api.templates.at(-1), { image: "shop:1", pauseAfter: "1m" });
  await undone.undo!();
  assertEquals(api.templates.at(-1), { image: "shop:1", pauseAfter: "10s" });
});

Deno.test("a change of idle times names the service and the times, and so do its undo and its redo", async () => {
  const before = { pauseAfter: "1m", hibernateAfter: "5m", stopAfter: "12h" };
  const done = await changeIdleSettings(new FakeApi(), "shop", before, { ...before, stopAfter: "1h" });
  assertEquals(done.text, "shop: stop after 12 h → 1 h");
  const undone = await done.undo!();
  assertEquals(undone.text, "shop: stop after 1 h → 12 h");
  assertEquals((await undone.undo!()).text, "shop: stop after 12 h → 1 h");
});

Deno.test("an undo is refused if somebody else has changed the service since", async () => {
  const api = new FakeApi();
  const done = await changeTemplate(api, "shop", pauseSooner);
  await changeTemplate(api, "shop", (template) => ({ ...template, image: "shop:2" }));
  await assertRejects(() => done.undo!(), ApiError, "changed in the meantime");
  assertEquals(api.templates.at(-1), { image: "shop:2", pauseAfter: "10s" });
});

Deno.test("a change of what the reader sees is refused if it is not so any more, and others are made all the same", async () => {
  const api = new FakeApi();
  await changeTemplate(api, "shop", (template) => ({ ...template, image: "shop:2" }));
  await assertRejects(
    () => changeTemplate(api, "shop", pauseSooner, { etag: "1" }),
    ApiError,
    "changed in the meantime",
  );
  await changeTemplate(api, "shop", pauseSooner);
  assertEquals(api.templates.at(-1), { image: "shop:2", pauseAfter: "10s" });
});

Deno.test("a rollback and its undo are refused if the split is not the one that the reader knows", async () => {
  const api = new FakeApi();
  await assertRejects(() => rollBack(api, { name: "shop", etag: "0" }), ApiError, "changed in the meantime");
  const done = await rollBack(api, { name: "shop", etag: "1" });
  await changeTemplate(api, "shop", pauseSooner);
  await assertRejects(() => done.undo!(), ApiError, "changed in the meantime");
  assertEquals(api.rollbacks, 1);
});

Deno.test("a deploy to which no requests come says so, and is not undone by a split that it has not changed", async () => {
  const api = new FakeApi();
  const before = await api.json("GET", "/v1/services/shop");
  const done = (revision: string) =>
    deployed(api, before, { ...before, latestRevision: "shop-00002", traffic: [{ revision, percent: 100 }] });
  for (const revision of ["latest", "shop-00002"]) {
    const { text, undo } = done(revision);
    assertEquals([text, typeof undo], ["shop-00002 is deployed", "function"]);
  }
  assertEquals(done("shop-00001"), { text: "shop-00002 is deployed, without traffic: shop-00001 100%" });
});

Deno.test("changes of several services are made one after the other and undone together, also if one fails", async () => {
  const made: string[] = [];
  const step = (name: string) => ({
    name,
    act: () => {
      if (name === "blog") return Promise.reject(new ApiError(422, "the container ended"));
      made.push(name);
      return Promise.resolve({
        text: `${name}: stop after 2 h → 1 h`,
        undo: () => {
          made.push(`back: ${name}`);
          return Promise.resolve({ text: `${name}: stop after 1 h → 2 h` });
        },
      });
    },
  });
  const begun: number[] = [];
  const done = await together(["shop", "blog", "wiki"].map(step), (at) => begun.push(at));
  assertEquals([made, begun], [["shop", "wiki"], [1, 2, 3]]);
  assertEquals(
    done.text,
    "shop: stop after 2 h → 1 h; wiki: stop after 2 h → 1 h; not changed: blog: the container ended",
  );
  assertEquals((await done.undo!()).text, "shop: stop after 1 h → 2 h; wiki: stop after 1 h → 2 h");
  assertEquals(made, ["shop", "wiki", "back: shop", "back: wiki"]);
});

Deno.test("of many changes at once, the first three are told with their number", async () => {
  const steps = ["a", "b", "c", "d", "e"].map((name) => ({ name, act: () => Promise.resolve({ text: `${name}: …` }) }));
  assertEquals((await together(steps)).text, "5 services changed; a: …; b: …; c: …; and 2 more");
});
