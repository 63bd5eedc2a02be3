import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { SpellRecord, WakeRecord } from "../../src/control/figures/records.ts";
import type { DeployRecord, ServiceChange, TokenRecord } from "../../src/control/records.ts";
import { DomainTakenError, StaleError } from "../../src/control/store.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { FigureTables } from "../../src/sqlite/figure_tables.ts";
import { changeAfter, creationOf, entryOf, fileIn, folderTest, revisionOf } from "./kit.ts";
import { loaded } from "../support/loaded.ts";

/** A test with an open store; `again` closes and opens it, so that everything is read from the disk. */
function storeTest(name: string, fn: (store: SqliteStore, again: () => SqliteStore) => void | Promise<void>): void {
  folderTest(name, async (folder) => {
    let store = SqliteStore.open(folder);
    try {
      await fn(store, () => {
        store[Symbol.dispose]();
        return store = SqliteStore.open(folder);
      });
    } finally {
      store[Symbol.dispose]();
    }
  });
}

/** Everything that a store has on services, for comparison. */
function stateOf(store: SqliteStore, ...services: string[]): unknown {
  return [loaded(store), services.map((service) => store.history(service, 1000))];
}

storeTest("a new store has nothing in it", async (store) => {
  assertEquals(loaded(store), { services: [], revisions: [] });
  assertEquals([store.history("golang", 10), store.secretVersions(), store.tokens()], [[], [], []]);
  assertEquals(store.secret("key", 1), undefined);
  assertEquals([await store.deleteSecret("key"), await store.deleteToken("ci")], [false, false]);
});

storeTest("a service comes back as it was kept, with all that it can have", async (store, again) => {
  const creation: ServiceChange = {
    ...creationOf("golang", {
      domains: ["www.example.org", "example.org", "a.example.org"],
      revisionHistory: 3,
      wake: { except: { userAgents: ["Bot's", "x"], paths: ["/up", "/"] } },
      loading: "page",
      access: OPEN,
      limits: UNLIMITED,
      maintenance: "",
      traffic: [{ revision: "golang-00001", percent: 90, tag: "stable" }, { revision: "latest", percent: 10 }],
      previousTraffic: [{ revision: "latest", percent: 100 }],
      generation: 7,
      declaredBy: "/etc/cless/golang.yaml",
      updatedAt: 1_700_000_000_999,
    }),
    addRevision: {
      ...revisionOf("golang", 1, {
        env: { GREETING: 'Grüß "Gott"\n\u{1F600}', EMPTY: "" },
        secretEnv: { KEY: "key" },
        command: ["serve", "--all"],
        volumes: [{ source: "data", path: "/data", readOnly: false }],
        startTimeout: Infinity,
        stopAfter: 1500,
        readiness: { path: "/ready" },
        memory: 2 ** 40,
        cpus: 0.5,
      }),
      imageDigest: "golang@sha256:1234",
      pulled: true,
      secretVersions: { key: 2 },
    },
  };
  await store.change(creation);
  const expected = { services: [creation.service], revisions: [creation.addRevision!] };
  assertEquals(loaded(store), expected);
  assertEquals(loaded(again()), expected);
});

storeTest("services come by name, revisions by service and age", async (store) => {
  for (const name of ["b", "c", "a"]) await store.change(creationOf(name));
  for (const name of ["a", "b"]) {
    await store.change({ ...changeAfter(creationOf(name)), addRevision: { ...revisionOf(name, 2), createdAt: 5 } });
  }
  const { services, revisions } = loaded(store);
  assertEquals(services.map(({ name }) => name), ["a", "b", "c"]);
  const names = ["a-00001", "a-00002", "b-00001", "b-00002", "c-00001"];
  assertEquals(revisions.map(({ name }) => name), names);
});

storeTest("a change replaces the service, and leaves the revisions that it does not name", async (store, again) => {
  const creation = creationOf("golang", { domains: ["old.example.org", "both.example.org"] });
  await store.change(creation);
  const deploy: ServiceChange = {
    ...changeAfter(creation, {
      domains: ["both.example.org", "new.example.org"],
      latestRevision: "golang-00002",
      lastNumber: 2,
    }),
    addRevision: revisionOf("golang", 2),
  };
  await store.change(deploy);
  assertEquals(loaded(store), {
    services: [deploy.service],
    revisions: [creation.addRevision!, deploy.addRevision!],
  });
  const third = { ...changeAfter(deploy), addRevision: revisionOf("golang", 3), removeRevisions: ["golang-00001"] };
  await store.change(third);
  const { services, revisions } = loaded(again());
  assertEquals(services, [third.service]);
  assertEquals(revisions.map(({ name }) => name), ["golang-00002", "golang-00003"]);
});

storeTest("a change stores every field of the service anew, also which file declares it", async (store, again) => {
  const creation = creationOf("golang", { declaredBy: "/srv/a.yaml" });
  await store.change(creation);
  const change: ServiceChange = {
    service: {
      name: "golang",
      domains: ["example.org"],
      revisionHistory: 3,
      wake: { except: { userAgents: ["Bot"], paths: ["/up"] } },
      loading: "page",
      access: OPEN,
      limits: UNLIMITED,
      maintenance: "",
      traffic: [{ revision: "golang-00001", percent: 100 }],
      previousTraffic: [{ revision: "golang-00002", percent: 100 }],
      latestRevision: "golang-00002",
      lastNumber: 2,
      generation: 2,
      declaredBy: "/srv/b.yaml",
      createdAt: 1_700_000_000_001,
      updatedAt: 1_700_000_000_002,
    },
    expectedGeneration: 1,
    addRevision: revisionOf("golang", 2),
    history: entryOf("golang", 1_700_000_000_002),
  };
  await store.change(change);
  assertEquals(loaded(store).services, [change.service]);
  const reopened = again();
  assertEquals(loaded(reopened).services, [change.service]);
  const released = changeAfter(change, { declaredBy: undefined });
  reopened.change(released);
  assertEquals(loaded(reopened).services, [released.service]);
});

storeTest("a change removes no revision of another service", async (store) => {
  const creation = creationOf("a");
  await store.change(creation);
  await store.change(creationOf("b"));
  await store.change({ ...changeAfter(creation), removeRevisions: ["b-00001", "none"] });
  assertEquals(loaded(store).revisions.map(({ name }) => name), ["a-00001", "b-00001"]);
});

storeTest("a change of another generation than the one that is there is stale, and changes nothing", async (store) => {
  const creation = creationOf("golang");
  await store.change(creation);
  const change = changeAfter(creation);
  await store.change(change);
  const before = stateOf(store, "golang", "none");
  const refused: [ServiceChange, string][] = [
    [change, "the service golang was changed in the meantime: it is at 2, and not at 1"],
    [{ ...change, expectedGeneration: 3 }, "the service golang was changed in the meantime: it is at 2, and not at 3"],
    [creation, "the service golang is there already"],
    [changeAfter(creationOf("none")), "the service none is not there any more"],
  ];
  for (const [change, message] of refused) {
    assertEquals((await assertRejects(() => store.change(change), StaleError)).message, message);
  }
  await assertRejects(() => store.delete("golang", 1, entryOf("golang", 9)), StaleError);
  await assertRejects(() => store.delete("none", 1, entryOf("none", 9)), StaleError);
  assertEquals(stateOf(store, "golang", "none"), before);
});

storeTest("a domain belongs to one service; a change that takes another's changes nothing", async (store) => {
  await store.change(creationOf("a", { domains: ["one.example.org", "two.example.org"] }));
  const b = creationOf("b", { domains: ["three.example.org"] });
  await store.change(b);
  const before = stateOf(store, "a", "b", "c");
  const domains = ["new.example.org", "two.example.org"];
  for (const change of [creationOf("c", { domains }), changeAfter(b, { domains })]) {
    const refusal = await assertRejects(
      () => store.change({ ...change, removeRevisions: ["b-00001"] }),
      DomainTakenError,
      "two.example.org belongs to the service a",
    );
    assertEquals(refusal.message, "two.example.org belongs to the service a");
  }
  await assertRejects(() => store.change(changeAfter(b, { domains: ["x.org", "x.org"] })), DomainTakenError);
  assertEquals(stateOf(store, "a", "b", "c"), before);
});

storeTest("a domain is free again when its service gives it up or is deleted", async (store) => {
  const a = creationOf("a", { domains: ["one.example.org", "two.example.org"] });
  await store.change(a);
  await store.change(changeAfter(a, { domains: ["two.example.org"] }));
  const b = creationOf("b", { domains: ["one.example.org"] });
  await store.change(b);
  await store.delete("a", 2, entryOf("a", 9));
  await store.change(changeAfter(b, { domains: ["two.example.org", "one.example.org"] }));
  assertEquals(loaded(store).services.map(({ domains }) => domains), [["two.example.org", "one.example.org"]]);
});

storeTest("a change whose last part cannot be kept changes nothing", async (store) => {
  const creation = creationOf("golang");
  await store.change(creation);
  const before = stateOf(store, "golang");
  const change = changeAfter(creation, { domains: ["example.org"] });
  await assertRejects(() => store.change({ ...change, addRevision: revisionOf("golang", 1) }), Error, "UNIQUE");
  await assertRejects(() => store.change({ ...change, addRevision: revisionOf("nobody", 1) }), Error, "FOREIGN KEY");
  await assertRejects(() => store.change({ ...change, history: { ...change.history, after: 1n } }), TypeError);
  assertEquals(stateOf(store, "golang"), before);
  await store.change(change);
});

storeTest("a deleted service takes its revisions with it, and leaves its history", async (store, again) => {
  const a = creationOf("a");
  await store.change(a);
  await store.change(creationOf("b"));
  const end = { ...entryOf("a", a.history.at + 1, "delete"), before: { generation: 1 }, after: undefined };
  await store.delete("a", 1, end);
  const state = stateOf(store, "a");
  assertEquals(state, stateOf(again(), "a"));
  store = again();
  assertEquals(loaded(store).revisions.map(({ name }) => name), ["b-00001"]);
  assertEquals(store.history("a", 10), [end, a.history]);
  await store.change(a); // a new service with a revision of the same name
  assertEquals(store.history("a", 10), [end, a.history, a.history]);
});

storeTest("history is given in pages, newest first, and each entry as it was", async (store) => {
  const creation = creationOf("golang");
  let last = creation;
  await store.change(creation);
  for (const value of [null, "text", [1, { deep: true }], 0]) {
    last = changeAfter(last);
    await store.change({ ...last, history: { ...last.history, before: value, after: undefined } });
  }
  await store.change(creationOf("other"));
  const all = store.history("golang", 10);
  assertEquals(all.map(({ before }) => before), [0, [1, { deep: true }], "text", null, undefined]);
  assertEquals(all[4], creation.history);
  assertEquals(store.history("golang", 2), all.slice(0, 2));
  assertEquals(store.history("golang", 2, all[1]!.at), all.slice(2, 4));
  assertEquals(store.history("golang", 2, all[3]!.at), all.slice(4));
  assertEquals(store.history("golang", 2, all[4]!.at), []);
  assertEquals(store.history("golang", 0), []);
});

storeTest(
  "entries of one time come on one page, the newest first, so that the next page leaves none out",
  async (store) => {
    const creation = creationOf("golang");
    await store.change(creation);
    let last = creation;
    for (const [at, action] of [[5, "a"], [5, "b"], [5, "c"], [6, "d"]] as const) {
      last = { ...changeAfter(last), history: entryOf("golang", at, action) };
      await store.change(last);
    }
    const page = (limit: number, before?: number) =>
      store.history("golang", limit, before).map(({ action }) => action).join("");
    assertEquals([page(1, 10), page(2, 10), page(3, 10), page(1, 6), page(9, 5)], ["d", "dcba", "dcba", "cba", ""]);
  },
);

storeTest("history that is older than a time is forgotten, for every service", async (store) => {
  for (const name of ["a", "b"]) {
    const creation = creationOf(name);
    await store.change({ ...creation, history: entryOf(name, 10) });
    await store.change({ ...changeAfter(creation), history: entryOf(name, 20) });
  }
  await store.forgetHistory(20);
  assertEquals(["a", "b"].map((name) => store.history(name, 9).map(({ at }) => at)), [[20], [20]]);
  assertEquals(store.history(undefined, 9).map(({ at, service }) => [service, at]), [["b", 20], ["a", 20]]);
  assertEquals(store.history(undefined, 1).length, 2, "a page never ends between two entries of the same time");
  assertEquals(store.history(undefined, 9, 20), []);
  await store.forgetHistory(21);
  assertEquals(["a", "b"].map((name) => store.history(name, 9)), [[], []]);
});

storeTest("a secret has versions, and no version ever means two values", async (store, again) => {
  const sealed = (byte: number) => Uint8Array.of(0, 255, byte);
  const first = { name: "key", version: 1, createdAt: 5, sealed: sealed(1) };
  const second = { name: "key", version: 2, createdAt: 6, sealed: sealed(2) };
  const other = { name: "b", version: 1, createdAt: 7, sealed: new Uint8Array() };
  for (const secret of [first, second, other]) await store.addSecret(secret);
  for (const version of [1, 2, 4]) {
    await assertRejects(() => store.addSecret({ ...first, version }), StaleError, "secret key is 3, and not");
  }
  store = again();
  const newest = [
    { name: "b", version: 1, createdAt: 7 },
    { name: "key", version: 2, createdAt: 6 },
  ];
  assertEquals(store.secretVersions(), newest);
  assertEquals(store.secret("key", 1), first);
  assertEquals(store.secret("key", 3), undefined);
  assertEquals([await store.deleteSecret("key"), await store.deleteSecret("key")], [true, false]);
  assertEquals([store.secret("key", 1), store.secret("key", 2)], [undefined, undefined]);
  assertEquals(store.secretVersions(), newest.slice(0, 1));
  assertEquals(["none", "b", "key"].map((name) => store.nextSecretVersion(name)), [1, 2, 3]);
  await again().addSecret({ ...first, version: 3 });
});

storeTest("a token stays as it is until it is removed, whoever else wants its name", async (store, again) => {
  const ci: TokenRecord = { name: "ci", scope: "deploy", hash: Uint8Array.of(1), expiresAt: undefined, createdAt: 1 };
  const a: TokenRecord = { ...ci, name: "a", scope: "read", expiresAt: 99 };
  const other: TokenRecord = { ...ci, scope: "admin", hash: Uint8Array.of(2, 3) };
  assertEquals([await store.addToken(ci), await store.addToken(a), await store.addToken(other)], [true, true, false]);
  store = again();
  assertEquals(store.tokens(), [a, ci]);
  assertEquals([await store.deleteToken("ci"), await store.deleteToken("ci")], [true, false]);
  assertEquals(store.tokens().map(({ name }) => name), ["a"]);
});

storeTest("a session takes the place of one with the same id", (store, again) => {
  const first = { id: "a", token: Uint8Array.of(1), origin: "https://admin.example.org", createdAt: 1, usedAt: 2 };
  store.putSession(first);
  store.putSession({ ...first, id: "b" });
  store.putSession({ ...first, usedAt: 3 });
  store.deleteSession("b");
  store.deleteSession("nosuch");
  assertEquals(again().sessions(), [{ ...first, usedAt: 3 }]);
});

storeTest("a mark tells a revision that demands something before its first request", async (store, again) => {
  const demands = [
    {},
    { minInstances: 1 },
    { secretEnv: { KEY: "key" } },
    { volumes: [{ source: "data", path: "/data", readOnly: false }] },
  ];
  for (const [number, template] of demands.entries()) {
    const name = `app-${number}`;
    await store.change({ ...creationOf(name), addRevision: revisionOf(name, 1, template) });
  }
  const needsNoPreparation: string[] = [];
  again().load(({ name }, marks) =>
    void (marks.every((mark) => mark.needsNoPreparation) && needsNoPreparation.push(name))
  );
  assertEquals(needsNoPreparation, ["app-0"]);
});

const COST = { service: "golang", since: 1, at: 2, processorNs: 3.5, usedByteS: 4.5, savedByteS: 5.5, wholeBytes: 6 };
const WAKE = { service: "golang", revision: "golang-00001", how: "resume", minute: 100, bucket: 5, count: 2 } as const;

storeTest("costs replace those before, and wakes of the same minute add up, across restarts", (store, again) => {
  const readings = { "cless-golang-1": { bytes: 1, swapBytes: 2, processorNs: 3 } };
  store.addFigures({ costs: [{ ...COST, readings: {} }], wakes: [WAKE] });
  store.addFigures({ costs: [{ ...COST, readings }], wakes: [WAKE, { ...WAKE, minute: 101 }] });
  const other = { ...WAKE, how: "cold" } as const;
  store.addFigures({ costs: [], wakes: [other, { ...WAKE, service: "other", revision: "other-00001" }] });
  store = again();
  assertEquals(store.costs(), [{ ...COST, readings }]);
  const { minute: _, ...wake } = WAKE;
  assertEquals(store.wakes("golang", 0), [{ ...wake, how: "cold" }, { ...wake, count: 6 }]);
  assertEquals(store.wakes("golang", 101), [wake]);
  store.trimFigures({ minute: 101, hour: 0, day: 0, spells: 0 });
  assertEquals([store.wakes("golang", 0), store.wakes("other", 0)], [[wake], []]);
});

storeTest("a deleted service loses its figures, and no other", async (store) => {
  await store.change(creationOf("golang"));
  const costs = ["golang", "other"].map((service) => ({ ...COST, service, readings: {} }));
  const wakes = ["golang", "other"].map((service) => ({ ...WAKE, service }));
  store.addFigures({ costs, wakes });
  await store.delete("golang", 1, entryOf("golang", 5, "delete"));
  assertEquals(store.costs().map(({ service }) => service), ["other"]);
  assertEquals([store.wakes("golang", 0).length, store.wakes("other", 0).length], [0, 1]);
});

folderTest(
  "the names of certificates are replaced and forgotten together, and come in the order of their last use",
  (folder) => {
    const named = (name: string, askedAt: number) =>
      ({ name, domain: "example.org", kind: "tag", grantedAt: 1, askedAt }) as const;
    {
      using store = SqliteStore.open(folder);
      for (const [at, name] of ["b", "a", "c"].entries()) store.putCertificateName(named(name, at + 1), []);
      store.putCertificateName(named("b", 4), ["a", "unknown"]);
      assertThrows(() => store.putCertificateName({ ...named("d", 5), kind: "other" as "tag" }, ["c"]));
    }
    using store = SqliteStore.open(folder);
    assertEquals(store.certificateNames(), [named("c", 3), named("b", 4)]);
  },
);

folderTest("figures do not grow for ever: the oldest are forgotten", (folder) => {
  using store = SqliteStore.open(folder);
  const costs = Array.from({ length: 9 }, (_, at) => ({ ...COST, service: `s${at}`, at, readings: {} }));
  const wakes = Array.from({ length: 9 }, (_, minute) => ({ ...WAKE, minute }));
  store.addFigures({ costs, wakes });
  using db = new DatabaseSync(fileIn(folder));
  const tables = new FigureTables(db);
  tables.limit({ costs: 9, rows: 9, runs: 9 });
  assertEquals([store.costs().length, store.wakes("golang", 0)[0]?.count], [9, 18]);
  tables.limit({ costs: 5, rows: 5, runs: 5 });
  assertEquals(store.costs().map(({ at }) => at), [4, 5, 6, 7, 8]);
  assertEquals([store.wakes("golang", 0)[0]?.count, store.wakes("golang", 4)[0]?.count], [10, 10]);
});

const COUNT = { service: "golang", minute: 119, requests: 2, errors: 1, latencies: [[-3, 1], [8, 1]] } as const;

storeTest("requests of the same minute and hour add up, with their histograms, across restarts", (store, again) => {
  const stateTimes = [{ service: "golang", at: 1, ready: 5, starting: 6, paused: 7, hibernated: 8 }];
  store.addFigures({ requests: [COUNT, { ...COUNT, minute: 120 }, { ...COUNT, service: "other" }], stateTimes });
  store = again();
  store.addFigures({ requests: [{ ...COUNT, latencies: [[8, 1], [40, 1]] }], stateTimes, wakes: [WAKE] });
  const latencies = [[-3, 1], [8, 2], [40, 1]] as const;
  const sum = { ...COUNT, requests: 4, errors: 2, latencies };
  assertEquals(store.minutes("golang", 0), {
    requests: [sum, { ...COUNT, minute: 120 }],
    wakes: [{ service: "golang", minute: 100, how: "resume", count: 2 }],
  });
  assertEquals(store.minutes("golang", 120), { requests: [{ ...COUNT, minute: 120 }], wakes: [] });
  assertEquals(store.hours("golang", 0), [{
    ...{ service: "golang", at: 1, requests: 4, errors: 2, latencies, wakes: { cold: 0, resume: 2, hibernated: 0 } },
    times: { ready: 10, starting: 12, paused: 14, hibernated: 16 },
  }, {
    ...{ service: "golang", at: 2, requests: 2, errors: 1, latencies: COUNT.latencies },
    ...{ wakes: { cold: 0, resume: 0, hibernated: 0 }, times: { ready: 0, starting: 0, paused: 0, hibernated: 0 } },
  }]);
  assertEquals(store.hours("golang", 2).length, 1);
  assertEquals(store.sumsByMinute(119).requests.map(({ minute, requests, service }) => [service, minute, requests]), [
    ["golang", 119, 4],
    ["other", 119, 2],
    ["golang", 120, 2],
  ]);
  assertEquals(store.sumsByMinute(100).wakes, [{ service: "golang", minute: 100, how: "resume", count: 2 }]);
});

/** Spells in short, as service and time. */
function shortSpells(store: SqliteStore, since: number, service?: string): string[] {
  return store.spells(since, service).map(({ at, service, state }) => `${service} ${at} ${state}`);
}

const spellOf = (service: string, at: number, state: SpellRecord["state"]): SpellRecord => ({
  ...{ service, at, state, failure: state === "failing" ? "it can't start" : undefined },
});

storeTest("spells come with the last one before, so that it is known what a service did then", (store, again) => {
  const golang = [spellOf("golang", 10, "ready"), spellOf("golang", 20, "paused"), spellOf("golang", 30, "failing")];
  store.addFigures({ spells: [...golang, spellOf("a", 5, "ready")] });
  store = again();
  assertEquals(store.spells(0, "golang"), golang);
  assertEquals(shortSpells(store, 25), ["a 5 ready", "golang 20 paused", "golang 30 failing"]);
  assertEquals(shortSpells(store, 30), ["a 5 ready", "golang 20 paused", "golang 30 failing"]);
  assertEquals(shortSpells(store, 31, "golang"), ["golang 30 failing"]);
  assertEquals(shortSpells(store, 0, "go"), []);
});

storeTest("old spells are forgotten but for what services still did then, and so are old runs", (store) => {
  const asleep = [spellOf("b", 10, "ready"), spellOf("b", 20, "asleep")];
  const paused = [spellOf("a", 120, "ready"), spellOf("a", 130, "paused"), spellOf("a", 300, "ready")];
  store.addFigures({ spells: [...asleep, ...paused, spellOf("c", 20, "hibernated")], run: { since: 1, until: 50 } });
  store.addFigures({ run: { since: 100, until: 200 } });
  store.addFigures({ run: { since: 100, until: 300 } });
  assertEquals(store.runs(), [{ since: 1, until: 50 }, { since: 100, until: 300 }]);
  store.trimFigures({ minute: 0, hour: 0, day: 0, spells: 200 });
  // c may have gone on for ever, but cless began again since then
  assertEquals(shortSpells(store, 0), ["a 130 paused", "a 300 ready"]);
  assertEquals(store.runs(), [{ since: 100, until: 300 }]);
});

storeTest("minutes, hours and spells go with their service, or when they are old", async (store) => {
  await store.change(creationOf("golang"));
  const services = ["golang", "other"];
  store.addFigures({
    requests: services.flatMap((service) => [{ ...COUNT, service }, { ...COUNT, service, minute: 180 }]),
    spells: services.map((service) => spellOf(service, 1, "ready")),
  });
  await store.delete("golang", 1, entryOf("golang", 5, "delete"));
  assertEquals([store.minutes("golang", 0).requests, store.hours("golang", 0), store.spells(0, "golang")], [
    [],
    [],
    [],
  ]);
  assertEquals([store.minutes("other", 0).requests.length, store.hours("other", 0).length], [2, 2]);
  store.trimFigures({ minute: 120, hour: 3, day: 0, spells: 0 });
  assertEquals(store.minutes("other", 0).requests.map(({ minute }) => minute), [180]);
  assertEquals(store.hours("other", 0).map(({ at }) => at), [3]);
});

folderTest("there are never more rows of minutes, hours, spells and runs than there may be", (folder) => {
  using store = SqliteStore.open(folder);
  const numbers = Array.from({ length: 9 }, (_, at) => at);
  store.addFigures({
    requests: numbers.map((at) => ({ ...COUNT, minute: 60 * at })),
    spells: numbers.map((at) => spellOf(`s${at}`, at, "ready")),
  });
  for (const since of numbers) store.addFigures({ run: { since, until: since } });
  using db = new DatabaseSync(fileIn(folder));
  new FigureTables(db).limit({ costs: 9, rows: 4, runs: 2 });
  assertEquals(store.minutes("golang", 0).requests.map(({ minute }) => minute / 60), [5, 6, 7, 8]);
  assertEquals(store.hours("golang", 0).map(({ at }) => at), [5, 6, 7, 8]);
  assertEquals(store.spells(0).map(({ at }) => at), [5, 6, 7, 8]);
  assertEquals(store.runs().map(({ since }) => since), [7, 8]);
});

const LOGGED: WakeRecord = {
  ...{ service: "golang", revision: "golang-00001", instance: "cless-golang-1", at: 1 },
  ...{ how: "cold", ms: 2.5, by: { kind: "request", path: "/it's" } },
};

storeTest("single wakes come newest first, of one service or of all, across restarts", (store, again) => {
  const other = { ...LOGGED, service: "other", at: 3 };
  store.addFigures({ wakeLog: [LOGGED, { ...LOGGED, at: 4 }, other] });
  store.addFigures({ wakeLog: [{ ...LOGGED, at: 2, by: { kind: "operator", name: "ci" } }] });
  store = again();
  const times = (options: Parameters<typeof store.wakeLog>[0]) => store.wakeLog(options).map(({ at }) => at);
  assertEquals(times({ since: 0, limit: 9 }), [4, 3, 2, 1]);
  assertEquals(times({ service: "golang", since: 2, limit: 9 }), [4, 2]);
  assertEquals(store.wakeLog({ service: "golang", since: 0, limit: 9 }).at(-1), LOGGED);
  assertEquals(times({ since: 0, limit: 2 }), [4, 3]);
  store.trimFigures({ minute: 1, hour: 0, day: 0, spells: 0 });
  assertEquals(times({ since: 0, limit: 9 }), []);
});

storeTest("a deleted service loses its single wakes, and no other", async (store) => {
  await store.change(creationOf("golang"));
  store.addFigures({ wakeLog: [LOGGED, { ...LOGGED, service: "other" }] });
  await store.delete("golang", 1, entryOf("golang", 5, "delete"));
  assertEquals(store.wakeLog({ since: 0, limit: 9 }).map(({ service }) => service), ["other"]);
});

folderTest("of a service that wakes all the time, the newest wakes are retained, and all of the others", (folder) => {
  using store = SqliteStore.open(folder);
  const wakes = Array.from({ length: 700 }, (_, at) => ({ ...LOGGED, at }));
  store.addFigures({ wakeLog: [{ ...LOGGED, service: "other", at: 0 }, ...wakes] });
  store.addFigures({ wakeLog: wakes.map((wake) => ({ ...wake, at: wake.at + 700 })) });
  const own = store.wakeLog({ service: "golang", since: 0, limit: 5000 }).map(({ at }) => at);
  assertEquals([own.length, own[0], own.at(-1)], [1000, 1399, 400]);
  assertEquals(store.wakeLog({ service: "other", since: 0, limit: 9 }).length, 1);
});

const GAP = { service: "golang", day: 100, bucket: 24, count: 1, seconds: 60 };

storeTest(
  "gaps of the same day and length add up, and the newest start of an idle time replaces the last",
  (store, again) => {
    const idle = { service: "golang", since: 1, idleSince: 2 };
    store.addFigures({ gaps: [GAP, { ...GAP, bucket: 30, seconds: 150 }], idle: [idle] });
    store.addFigures({
      gaps: [{ ...GAP, seconds: 59.5 }, { ...GAP, day: 131 }],
      idle: [{ ...idle, idleSince: undefined }],
    });
    store.addFigures({ gaps: [{ ...GAP, service: "other" }], idle: [{ service: "other", since: 3, idleSince: 4 }] });
    store = again();
    const counted = [{ bucket: 24, count: 3, seconds: 179.5 }, { bucket: 30, count: 1, seconds: 150 }];
    assertEquals(store.gaps("golang", 0), counted);
    assertEquals(store.gaps("golang", 101), [{ bucket: 24, count: 1, seconds: 60 }]);
    assertEquals(store.idle(), [
      { service: "golang", since: 1, idleSince: undefined },
      { service: "other", since: 3, idleSince: 4 },
    ]);
    store.trimFigures({ minute: 0, hour: 0, day: 100, spells: 0 });
    assertEquals(store.gaps("golang", 0), counted);
    store.trimFigures({ minute: 0, hour: 0, day: 101, spells: 0 });
    assertEquals(store.gaps("golang", 0), [{ bucket: 24, count: 1, seconds: 60 }]);
  },
);

storeTest("a deleted service loses its gaps, and no other", async (store) => {
  await store.change(creationOf("golang"));
  const both = ["golang", "other"];
  store.addFigures({
    gaps: both.map((service) => ({ ...GAP, service })),
    idle: both.map((service) => ({ service, since: 1, idleSince: 2 })),
  });
  await store.delete("golang", 1, entryOf("golang", 5, "delete"));
  assertEquals([store.gaps("golang", 0).length, store.gaps("other", 0).length], [0, 1]);
  assertEquals(store.idle().map(({ service }) => service), ["other"]);
});

/** A deploy of a service that started at a time. */
function deployOf(service: string, startedAt: number, more: Partial<DeployRecord> = {}): DeployRecord {
  return {
    ...{ service, revision: `${service}-00001`, image: `${service}:1`, by: "ci", startedAt, durationMs: 5 },
    ...{ outcome: "failed", reason: "it ended with code 1", output: ["panic: 'x'", "\u{1F600}"] },
    ...more,
  };
}

storeTest("deploys come newest first, also of names without a service, and outlive a restart", async (store, again) => {
  const first = deployOf("golang", 1);
  const second = deployOf("golang", 2, { outcome: "called off", revision: undefined, output: [] });
  const third = deployOf("golang", 3, { outcome: "deployed", reason: undefined, output: [] });
  for (const deploy of [first, deployOf("other", 9), second, third]) await store.addDeploy(deploy);
  assertEquals(store.deploys("golang", 10), [third, second, first]);
  assertEquals(store.deploys(undefined, 3), [third, second, deployOf("other", 9)], "those of all services");
  assertEquals(again().deploys("golang", 2), [third, second]);
});

storeTest("the deploys of all services since a time come oldest first", async (store) => {
  for (const deploy of [deployOf("golang", 1), deployOf("other", 2), deployOf("golang", 3)]) {
    await store.addDeploy(deploy);
  }
  const { by, outcome, revision, service, startedAt } = deployOf("other", 2);
  const since = store.deploysSince(1);
  assertEquals(since[0], { by, outcome, revision, service, startedAt });
  assertEquals(since.map(({ startedAt }) => startedAt), [2, 3]);
});

storeTest("deploys are limited in number, and go with their service or when they are old", async (store) => {
  for (let at = 1; at <= 25; at++) await store.addDeploy(deployOf("golang", at));
  assertEquals(
    store.deploys("golang", 100).map(({ startedAt }) => startedAt),
    Array.from({ length: 20 }, (_, at) => 25 - at),
  );
  await store.forgetHistory(25);
  assertEquals(store.deploys("golang", 100).length, 1);
  await store.change(creationOf("golang"));
  await store.addDeploy(deployOf("other", 30));
  await store.delete("golang", 1, entryOf("golang", 31, "delete"));
  assertEquals([store.deploys("golang", 100).length, store.deploys("other", 100).length], [0, 1]);
  await store.addDeploy(deployOf("golang", 32));
  await store.deleteDeploys("other");
  assertEquals([store.deploys("golang", 100).length, store.deploys("other", 100).length], [1, 0]);
});
