import type { HistoryEntry, RevisionRecord, ServiceChange, ServiceRecord } from "../../src/control/records.ts";
import { canonicalTemplate, type TemplateInput } from "../../src/model/template.ts";
import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { EVERYBODY_WAKES } from "../../src/model/service.ts";
import { noRead, noWrite } from "../support/permissions.ts";

/** For `ignore` of a test that opens a database. */
export const noStore = noRead || noWrite;

/** A test with a folder of its own, which is removed afterwards. */
export function folderTest(name: string, fn: (folder: string) => void | Promise<void>, ignore = noStore): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "sqlite-" });
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** The path of the database in a folder. */
export function fileIn(folder: string): string {
  return `${folder}/cless.sqlite`;
}

/** The rights of a file, in octal. */
export function modeOf(path: string): string {
  return (Deno.statSync(path).mode! & 0o777).toString(8);
}

/** The names in a folder, sorted. */
export function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** A revision such as `golang-00002`. */
export function revisionOf(service: string, number: number, template: Partial<TemplateInput> = {}): RevisionRecord {
  return {
    name: `${service}-${String(number).padStart(5, "0")}`,
    service,
    template: canonicalTemplate({ image: `${service}:${number}`, ...template }),
    imageId: `sha256:${"0".repeat(60)}${number}`,
    imageDigest: undefined,
    pulled: false,
    secretVersions: {},
    older: false,
    createdAt: 1_700_000_000_000 + number,
  };
}

/** An entry of the history. */
export function entryOf(service: string, at: number, action = "deploy"): HistoryEntry {
  return { at, service, action, by: "admin", before: undefined, after: { at } };
}

/** The change that makes a service, with its first revision. */
export function creationOf(name: string, over: Partial<ServiceRecord> = {}): ServiceChange {
  const revision = revisionOf(name, 1);
  return {
    service: {
      name,
      domains: [],
      revisionHistory: 10,
      wake: EVERYBODY_WAKES,
      loading: "hold",
      access: OPEN,
      limits: UNLIMITED,
      maintenance: "",
      traffic: [{ revision: "latest", percent: 100 }],
      previousTraffic: [],
      latestRevision: revision.name,
      lastNumber: 1,
      generation: 1,
      declaredBy: undefined,
      createdAt: 1_700_000_000_000,
      updatedAt: 1_700_000_000_000,
      ...over,
    },
    expectedGeneration: undefined,
    addRevision: revision,
    history: entryOf(name, 1_700_000_000_000),
  };
}

/** The next change of a service, without a new revision. */
export function changeAfter({ service }: ServiceChange, over: Partial<ServiceRecord> = {}): ServiceChange {
  const updatedAt = service.updatedAt + 1;
  return {
    service: { ...service, generation: service.generation + 1, updatedAt, ...over },
    expectedGeneration: service.generation,
    history: entryOf(service.name, updatedAt, "traffic"),
  };
}
