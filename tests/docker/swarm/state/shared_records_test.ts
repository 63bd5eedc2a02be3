import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { DeployRecord, TokenRecord } from "../../../../src/control/records.ts";
import {
  configName,
  isSuperseded,
  kindOfName,
  labelsOf,
  NOTHING,
  revisionData,
  revisionOf,
  secretLabels,
  serviceLabels,
  sharedSecretOf,
  sharedServiceOf,
  tokenLabels,
  tokenOf,
  tooLarge,
} from "../../../../src/docker/swarm/state/shared_records.ts";
import { creationOf, entryOf, revisionOf as newRevision } from "../../../sqlite/kit.ts";
import { OWNER, secretOf } from "./kit.ts";

/** What a Swarm accepts as the name of a config. */
const VALID = /^[a-zA-Z0-9](?:[-_.a-zA-Z0-9]{0,62}[a-zA-Z0-9])?$/;

const DEPLOY: DeployRecord = {
  ...{ service: "golang", revision: undefined, image: "golang:1", by: "ci", startedAt: 5, durationMs: 7 },
  ...{ outcome: "failed", reason: undefined, output: [] },
};

Deno.test("a name that fits is readable, and others are made to fit without becoming the same", async () => {
  assertEquals(await configName(OWNER, "service", "golang"), `cless-${OWNER}-service-golang`);
  assertEquals(await configName(OWNER, "revision", "golang-00001"), `cless-${OWNER}-revision-golang-00001`);
  assertEquals(await configName(OWNER, "secret", "a.b_c-1"), `cless-${OWNER}-secret-a.b_c-1`);
  const names = ["ci", "CI", "Ci", "ci.", "ci-", "ci_", "é", ...[30, 63, 64, 128].map((length) => "x".repeat(length))];
  names.push(`${"x".repeat(127)}y`, `${"x".repeat(30)}-`);
  const made = await Promise.all(names.map((name) => configName(OWNER, "token", name)));
  for (const name of made) assert(VALID.test(name), name);
  assertEquals(new Set(made.map((name) => name.toLowerCase())).size, names.length); // a Swarm ignores the case
});

Deno.test("the name of a config tells its kind, and whether it is the owner's", async () => {
  for (const kind of ["service", "revision", "secret", "token", "domain"] as const) {
    assertEquals(kindOfName(OWNER, await configName(OWNER, kind, "x".repeat(99))), kind);
  }
  const others = ["nginx", `cless-${OWNER}`, "cless-ffffffff-service-golang", `cless-${OWNER}-node-abc`];
  assertEquals(others.map((name) => kindOfName(OWNER, name)), others.map(() => undefined));
});

Deno.test("a service, a revision, a secret and a token come back as they were", () => {
  const creation = creationOf("golang", { domains: ["a.example.org"], declaredBy: "/etc/x.yaml", maintenance: "é" });
  const shared = {
    service: creation.service,
    revisions: ["golang-00001"],
    history: [entryOf("golang", 2), { ...entryOf("golang", 1), before: { generation: 1 }, after: undefined }],
    deploys: [{ ...DEPLOY, revision: "golang-00001", reason: "no answer", output: ["one", "two"] }, DEPLOY],
    reserved: 7,
  };
  assertEquals(sharedServiceOf({ labels: serviceLabels(OWNER, "golang", shared) }), shared);
  assertEquals(sharedServiceOf({ labels: serviceLabels(OWNER, "golang", NOTHING) }), NOTHING);
  assertEquals(sharedServiceOf({ labels: labelsOf(OWNER, "service", "golang") }), NOTHING);
  const revisions = [
    newRevision("golang", 1, { stopAfter: Infinity, secretEnv: { KEY: "key" }, env: { A: "é\n" } }),
    {
      ...newRevision("golang", 2),
      imageDigest: "golang@sha256:1",
      pulled: true,
      older: true,
      secretVersions: { a: 2 },
    },
  ];
  for (const revision of revisions) assertEquals(revisionOf({ data: revisionData(revision) }), revision);
  const secret = secretOf("Key", 3);
  assertEquals(sharedSecretOf({ labels: secretLabels(OWNER, secret), data: secret.sealed }), secret);
  const deleted = { ...secret, sealed: undefined };
  assertEquals(sharedSecretOf({ labels: secretLabels(OWNER, deleted), data: Uint8Array.of(1) }), deleted);
  for (const expiresAt of [undefined, 99]) {
    const token: TokenRecord = { name: "ci", scope: "deploy", hash: Uint8Array.of(0, 255), expiresAt, createdAt: 1 };
    assertEquals(tokenOf({ labels: tokenLabels(OWNER, token) }), token);
  }
});

Deno.test("of any history and deploys the newest are kept, in order, and at most so much that they fit", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40_000), { maxLength: 30 }), (sizes) => {
      const history = sizes.map((size, at) => ({ ...entryOf("a", 1000 - at), after: "x".repeat(size) }));
      const deploys = sizes.map((size, at) => ({ ...DEPLOY, startedAt: at, output: ["a", "x".repeat(size % 3000)] }));
      const labels = serviceLabels(OWNER, "a", { ...NOTHING, history, deploys });
      const kept = sharedServiceOf({ labels });
      assertEquals(kept.history, history.slice(0, kept.history.length));
      assertEquals(
        kept.deploys.map(({ startedAt }) => startedAt),
        deploys.slice(0, kept.deploys.length).map((_, at) => at),
      );
      if (sizes.length > 0) assert(kept.history.length > 0 && kept.deploys.length > 0);
      const first = sizes[0] ?? 0;
      assert(JSON.stringify(kept.history).length <= Math.max(32_000, first + 500));
      assert(JSON.stringify(kept.deploys).length <= 24_000);
    }),
    { numRuns: 50 },
  );
});

Deno.test("only values before a deletion are superseded by it", () => {
  const deleted = { ...secretOf("a", 3), sealed: undefined };
  const all = [secretOf("a", 2), deleted, secretOf("a", 4), secretOf("b", 1)];
  assertEquals(all.map((secret) => isSuperseded(secret, all)), [true, false, false, false]);
});

Deno.test("what does not fit into a config is too large by its bytes, not by its characters", () => {
  const small = labelsOf(OWNER, "service", "a");
  assertEquals(tooLarge(small, new Uint8Array(999_999)), undefined);
  assertEquals(tooLarge(small, new Uint8Array(1_000_000)), "has 1000000 bytes, and fewer than 1000000 are possible");
  assertEquals(tooLarge({ a: "x".repeat(999_999) }, new Uint8Array(1)), undefined);
  assertEquals(
    tooLarge({ a: "é".repeat(500_000) }, new Uint8Array(1)),
    "has 1000001 bytes, and at most 1000000 are possible",
  );
});
