import { assertEquals } from "@std/assert";
import { RevisionLimits } from "../../src/control/revision_limits.ts";
import { runtimeRevision } from "../../src/control/runtime_revision.ts";
import { parseMemory } from "../../src/model/memory.ts";
import { canonicalTemplate, type TemplateInput } from "../../src/model/template.ts";
import { parseDuration } from "../../src/model/time.ts";

const LIMITS = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: Infinity,
  pauseAfterMs: 60_000,
  hibernateAfterMs: 300_000,
  stopAfterMs: 600_000,
  stopHibernatedAfterMs: 86_400_000,
};
const DEFAULTS = { dropped: ["MKNOD", "NET_RAW"], memoryBytes: 2 ** 30, cpus: 2 };

/** The limits of a revision as `VALUE FROM`, by name. */
function limitsOf(input: Partial<TemplateInput> = {}, given: Record<string, string> = {}, older?: true) {
  const template = canonicalTemplate({ image: "web:1", ...input });
  const limits = new RevisionLimits(LIMITS, DEFAULTS, new Map(Object.entries(given)));
  const all = Object.entries(limits.of({ template, older: older ?? false }));
  return Object.fromEntries(all.map(([name, { value, from }]) => [name, `${value} ${from}`]));
}

Deno.test("without settings of its own, a revision has the defaults", () => {
  assertEquals(limitsOf(), {
    concurrency: "0 default",
    minInstances: "0 default",
    maxInstances: "1 default",
    startTimeout: "30s default",
    requestTimeout: "5m default",
    clientTimeout: "0 default",
    pauseAfter: "1m default",
    hibernateAfter: "5m default",
    stopAfter: "10m default",
    stopHibernatedAfter: "24h default",
    hangAfter: "20s default",
    memory: "1g default",
    cpus: "2 default",
    droppedCapabilities: "MKNOD,NET_RAW default",
  });
});

Deno.test("what a template names comes from the service, and holds over what the program was given", () => {
  const template = {
    ...{ concurrency: 5, maxInstances: 3, pauseAfter: Infinity, stopAfter: 5000, hangAfter: 1000, memory: 2 ** 28 },
    ...{ cpus: 0.5, capabilities: { add: ["NET_RAW"], drop: ["CHOWN"] } },
  };
  const given = {
    "pause-after": "--pause-after",
    "stop-after": "CLESS_STOP_AFTER",
    "default-memory": "--default-memory",
  };
  const { concurrency, minInstances, maxInstances, pauseAfter, stopAfter, stopHibernatedAfter, ...rest } = limitsOf(
    template,
    given,
  );
  assertEquals([concurrency, minInstances, maxInstances], ["5 service", "0 default", "3 service"]);
  assertEquals([pauseAfter, stopAfter, stopHibernatedAfter], ["0 service", "5s service", "5s service"]);
  assertEquals([rest["hangAfter"], rest["memory"], rest["cpus"]], ["1s service", "256m service", "0.5 service"]);
  assertEquals(rest["droppedCapabilities"], "CHOWN,MKNOD service");
});

Deno.test("what the program was given names the flag or the variable", () => {
  const given = {
    "pause-after": "--pause-after",
    "stop-after": "CLESS_STOP_AFTER",
    "memory-budget": "--memory-budget",
  };
  const { cpus, memory, pauseAfter, stopAfter, stopHibernatedAfter } = limitsOf({}, { ...given, "default-cpus": "x" });
  assertEquals([pauseAfter, stopAfter, stopHibernatedAfter], [
    "1m --pause-after",
    "10m CLESS_STOP_AFTER",
    "24h CLESS_STOP_AFTER",
  ]);
  assertEquals([memory, cpus], ["1g --memory-budget", "2 x"]);
  assertEquals(limitsOf({}, { ...given, "default-memory": "--default-memory" })["memory"], "1g --default-memory");
});

Deno.test("a revision from before there were defaults of containers has none of them", () => {
  const { cpus, droppedCapabilities, memory } = limitsOf({}, { "default-memory": "--default-memory" }, true);
  assertEquals([memory, cpus, droppedCapabilities], ["0 default", "0 default", " default"]);
});

Deno.test("the limits that are shown are those that containers get", () => {
  const templates: Partial<TemplateInput>[] = [{}, { pauseAfter: Infinity, memory: 2 ** 28, stopAfter: 1000, cpus: 1 }];
  for (const input of templates) {
    for (const older of [false, true]) {
      const template = canonicalTemplate({ image: "web:1", ...input });
      const record = {
        template,
        older,
        name: "web-00001",
        service: "web",
        imageId: "sha256:1",
        imageDigest: undefined,
      };
      const stored = { ...record, createdAt: 0, pulled: false, secretVersions: {} };
      const revision = runtimeRevision(stored, LIMITS, DEFAULTS);
      const limits = new RevisionLimits(LIMITS, DEFAULTS, new Map()).of(record);
      const times = {
        startTimeout: revision.startTimeoutMs,
        requestTimeout: revision.requestTimeoutMs,
        clientTimeout: revision.clientTimeoutMs,
        pauseAfter: revision.pauseAfterMs,
        hibernateAfter: revision.hibernateAfterMs,
        stopAfter: revision.stopAfterMs,
        stopHibernatedAfter: revision.stopHibernatedAfterMs,
        hangAfter: revision.hangAfterMs,
      };
      for (const [name, ms] of Object.entries(times)) {
        assertEquals(parseDuration(String(limits[name as keyof typeof times].value)), ms, name);
      }
      const memory = String(limits.memory.value);
      assertEquals(memory === "0" ? undefined : parseMemory(memory), revision.memoryBytes);
      assertEquals(limits.cpus.value, revision.cpus ?? 0);
      assertEquals(limits.droppedCapabilities.value, revision.capabilities.drop);
    }
  }
});
