import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { conventionImage, conventionRevision } from "../../src/model/revision.ts";

const LIMITS = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: Infinity,
  stopHibernatedAfterMs: Infinity,
};
const ID = "sha256:1f2e3d4c5b6a79880011223344556677889900aabbccddeeff00112233445566";

Deno.test("a label stands for the image of its name and -docker", () => {
  assertEquals(conventionImage("golang"), "golang-docker");
});

Deno.test("a convention revision has the image and the limits", () => {
  assertEquals({ ...conventionRevision("golang", ID, LIMITS) }, {
    name: "golang-1f2e3d4c5b6a",
    service: "golang",
    image: "golang-docker",
    imageId: ID,
    port: 8080,
    readinessPath: "/",
    ...LIMITS,
    env: {},
    command: [],
    memoryBytes: undefined,
    cpus: undefined,
    volumes: [],
    capabilities: { add: [], drop: ["AUDIT_WRITE", "MKNOD", "NET_RAW"] },
    readOnly: false,
    concurrency: 0,
    minInstances: 0,
    hangAfterMs: 20_000,
    maxInstances: 1,
  });
});

Deno.test("a convention revision has the defaults of containers", () => {
  const defaults = { dropped: ["KILL"], memoryBytes: 1024, cpus: 2 };
  const { capabilities, cpus, memoryBytes } = conventionRevision("golang", ID, LIMITS, defaults);
  assertEquals([capabilities.drop, cpus, memoryBytes], [["KILL"], 2, 1024]);
});

Deno.test("a rebuilt image is another revision, and the same image is the same one", () => {
  const name = (id: string) => conventionRevision("golang", id, LIMITS).name;
  assertEquals(name(ID), name(ID));
  assertNotEquals(name(ID), name(ID.replace("1f2e", "0000")));
});

Deno.test("a revision cannot be changed", () => {
  const revision = conventionRevision("golang", ID, LIMITS);
  assert(Object.isFrozen(revision));
  assertThrows(() => Object.assign(revision, { port: 1 }), TypeError);
});
