import { assertEquals } from "@std/assert";
import { noRead } from "./support/permissions.ts";
import { codeOf, readSources, resolve, type Sources } from "./support/sources.ts";

/** What a file imports by name, as `PATH NAME`; a namespace counts for what is taken out of it. */
function namesImportedBy(file: string, source: string): string[] {
  const code = codeOf(source);
  const named = /\{([^{}]*)\}\s*(?:from\s*|= await import\()"(\.[^"]+)"|import\("(\.[^"]+)"\)\.then\(\(\{([^{}]*)\}\)/g;
  const names = [...code.matchAll(named)].flatMap(([, names, from, later, taken]) =>
    (names ?? taken)!.split(",").map((name) =>
      `${resolve(file, (from ?? later)!)} ${name.trim().replace(/^type | as .*$/g, "")}`
    )
  );
  const namespaces = [...code.matchAll(/import \* as (\w+) from "(\.[^"]+)"/g)].flatMap(([, space, from]) =>
    [...code.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g"))].map(([, name]) => `${resolve(file, from!)} ${name}`)
  );
  return [...names, ...namespaces];
}

/**
 * The exports that no other file of the program imports, as `PATH NAME`. A type counts as imported where its own file
 * speaks of it: whoever uses what speaks of it may have to name it.
 */
function needlessExports(sources: Sources): string[] {
  const imported = new Set(Object.entries(sources).flatMap(([file, source]) => namesImportedBy(file, source)));
  return Object.entries(sources).flatMap(([file, source]) => {
    const code = codeOf(source);
    const exported = /^export\s+(?:abstract\s+)?(?:async\s+)?(function\*?|class|const|let|interface|type)\s+(\w+)/gm;
    return [...code.matchAll(exported)].flatMap(([, kind, name]) => {
      const isSpokenOf = [...code.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
      const isType = kind === "interface" || kind === "type";
      return imported.has(`${file} ${name}`) || (isType && isSpokenOf) ? [] : [`${file} ${name}`];
    });
  });
}

/** Exports that the program needs in their own file alone, each with why it is one. */
const EXPORTED_FOR_TESTS: Record<string, string> = {
  "src/admin/routes.ts operationsOf": "the document is compared with it",
  "src/cli/template_change.ts parseEnv": "what makes up its text is tested without a file",
  "src/cli/apply.ts shownTarget": "it is tested without a terminal",
  "src/cli/help.ts flagHelp": "no verb has flags without a group",
  "src/control/access/tokens.ts OWNER_NAME": "what no other token may be called",
  "src/edge/caddy.ts isTooOld": "versions are compared without a program",
  "src/edge/certificate_errors.ts errorsIn": "a log is read without a file",
  "src/edge/ports.ts unitIn": "the format is tested without systemd",
  "src/control/service_status.ts statusOf": "the decision is tested without instances",
  "src/deploy/config_file.ts deployerTarget": "applying a manifest is tested without a file",
  "src/control/figures/idle_gaps.ts gapBucketOf": "where each bucket ends",
  "src/control/manifest/apply.ts ApplyError": "what an error is known by",
  "src/control/secrets/secret_key.ts SecretKeyError": "what an error is known by",
  "src/control/secrets/secret_key.ts UnreadableSecretError": "what an error is known by",
  "src/docker/network/addresses.ts HostPorts": "ports are tested without a network",
  "src/model/revision.ts NO_EXTRAS": "a revision of a test has them too",
  "src/http/client_sockets.ts parseQueues": "the format is tested without sockets",
  "src/base/config.ts Forward": "a test forwards in each of these ways",
  "src/base/freed_memory.ts releaseFreedMemory": "it is tested without waiting for much memory",
  "src/base/log.ts jsonLine": "a line is tested without a terminal",
  "src/base/log.ts textLine": "a line is tested without a terminal",
  "src/pool/probe.ts probe": "an app is probed once, without what judges the probe",
  "src/pool/probe.ts untilReady": "the attempts are tested without what judges them",
  "src/pool/slots.ts choose": "whom it chooses is tested with draws that are known",
  "src/pool/state.ts observe": "a long load is simulated without a pool",
  "src/docker/swarm/node_wall.ts rulesFor": "the rules are tested without a firewall",
  "src/peers/identity.ts makeIdentity": "peers are tested without a data-dir",
  "src/cli/doctor_swarm.ts peerFindings": "what is said of a peer is tested without one",
  "src/docker/swarm/checks.ts swarmFindings": "what is said of a Swarm is tested without one",
  "src/peers/members.ts observe": "what a reading means is tested without a Swarm",
  "src/fleet/memory_budget.ts SHIM_BYTES": "it counts for every container of a test",
  "src/fleet/memory_budget.ts relieve": "the decision is tested without a clock",
  "src/proxy/admission.ts fairShare": "the division is tested without a load",
  "src/proxy/waiting_room.ts READY_PATH": "where a test asks for the end of the wait",
  "src/sqlite/migrations.ts MIGRATIONS": "each step is tested",
};

Deno.test({
  name: "what is exported is imported by another file of the program, or is there for a test that is known",
  ignore: noRead,
  fn: async () => {
    assertEquals(needlessExports(await readSources()).sort(), Object.keys(EXPORTED_FOR_TESTS).sort());
  },
});

Deno.test("an export that nobody imports is found, and a type that its file does not speak of", () => {
  assertEquals(
    needlessExports({
      "src/a.ts": `import { used, type Used as Other } from "./b.ts";\nimport * as c from "./c.ts";\nc.taken();\n` +
        `import("./d.ts").then(({ late }) => late());\nconst { awaited } = await import("./d.ts");`,
      "src/b.ts": `export const used = 1;\nexport type Used = 1;\nexport async function unused(): Promise<Said> {}\n` +
        `export interface Said {}\nexport interface Unsaid {}\nexport class Own {}\nnew Own();`,
      "src/c.ts": `export const taken = () => {};\nexport let left = 1;`,
      "src/d.ts": `export function late() {}\nexport const awaited = 1;\n// export const comment = 1;`,
    }),
    ["src/b.ts unused", "src/b.ts Unsaid", "src/b.ts Own", "src/c.ts left"],
  );
});
