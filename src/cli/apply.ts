import type { RevisionJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { resolve } from "node:path";
import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { applyManifest, type ApplyResult, type ApplyTarget, bodyOf, readManifest } from "../control/manifest/apply.ts";
import { parseManifest } from "../control/manifest/manifest.ts";
import type { DeployPreview } from "../control/records.ts";
import { type ParsedService, retiredWarning } from "../control/schema/schema.ts";
import { ApiError, type Client, type Query, servicePath } from "./client.ts";
import { fieldChangeText } from "./field_change.ts";
import { flag } from "./flags.ts";
import { mayDelete, YES_FLAG } from "./lifecycle.ts";
import { previewLine } from "./preview.ts";
import { Progress } from "./progress.ts";
import { type Colour, type Paint, paintFor, passing, type Screen, stderrScreen, whileShown } from "./terminal.ts";
import { plainText } from "./text.ts";
import { clientVerb, JSON_FLAG, printResult, QUIET_FLAG } from "./verb.ts";

/** `cless apply`: makes the services match a file. */
export const apply = clientVerb({
  name: "apply",
  summary: "Make the services what a file declares",
  flags: [
    flag("-f, --file FILE", "The file, YAML; - is standard input"),
    flag("--prune", "Delete services that this file declared before and does not declare any more"),
    { ...YES_FLAG, help: "With --prune: do not ask; needed if there is no terminal to ask on" },
    flag("--dry-run", "Say what would change, and change nothing"),
    flag("--[no-]wait", "Move traffic when an instance of a new revision is ready, and not before"),
    JSON_FLAG,
    QUIET_FLAG,
  ],
  notes: [
    "The file lists each service by its name below services:, with the fields that the admin API takes: services: { web: { image: acme/web:v1, env: { MODE: fast } } }. Editors find the schema at /schema.json of the admin API. A wrong file changes nothing. A service that is as declared is left alone, and so is traffic that the file does not mention.",
    "--prune asks before it deletes. It deletes only what this file, known by its absolute path, declared at some time: no service that was only deployed by hand, and none that another file declares.",
    "Lines begin with + for created, ~ changed, = unchanged, - deleted, ! failed; so do the names of variables, whose values are not shown.",
  ],
  example: [
    "cless apply -f services.yaml --dry-run",
    "cless export | ssh other sudo cless apply -f -",
  ],
  run: async (call) => {
    const given = call.text("file");
    if (given === undefined) throw new UsageError("apply needs a file: cless apply -f FILE");
    const [dryRun, prune] = [call.on("dry-run"), call.on("prune")];
    const file = isStream(given) ? undefined : resolve(given);
    if (prune && file === undefined) throw new UsageError("--prune needs a file, not a stream");
    const text = given === "-" ? await new Response(Deno.stdin.readable).text() : await readManifest(given);
    const manifest = parseManifest(text, given === "-" ? "(input)" : given);
    const warning = retiredWarning(manifest.values());
    if (warning !== undefined) console.error(`warning: ${warning}`);
    const silent = call.on("json") || call.on("quiet");
    /** The latest revisions of the services that change, before that. */
    const latest = new Map<string, RevisionJson>();
    const plain = apiTarget(call.client, call.flags.get("wait") === false ? false : undefined, latest);
    const showField = (name: string, field: string) =>
      fieldChangeText(field, latest.get(name), bodyOf(manifest.get(name)!));
    const target = silent ? plain : shownTarget(plain, call.client, stderrScreen());
    const width = Math.max(0, ...[...manifest.keys()].map((name) => name.length));
    const paint = paintFor(Deno.stdout, call.surroundings);
    const results = await applyManifest(manifest, file, target, {
      prune,
      dryRun,
      beforePrune: async (names) => {
        if (!call.on("yes")) names.forEach((name) => console.error(`- ${name}`));
        if (await mayDelete(call, "Delete these services and all of their revisions?")) return;
        throw new OperatorError("nothing is changed");
      },
      onResult: (result) => {
        if (result.error !== undefined) printFailure(result);
        else if (!silent) console.log(resultLine(result, width, paint, (field) => showField(result.name, field)));
      },
    });
    printResult(call, results.map(resultJson), summary(results, dryRun));
    return results.some(({ error }) => error !== undefined) ? 1 : 0;
  },
});

/** Whether a path is standard input, or a pipe such as the shell's `<(…)`. */
function isStream(path: string): boolean {
  return path === "-" || /^\/(?:dev|proc)\//.test(resolve(path));
}

/** A running cless as the target of a manifest. @param latest Gets the latest revision of each service that changes. */
function apiTarget(client: Client, wait: boolean | undefined, latest: Map<string, RevisionJson>): ApplyTarget {
  const put = <T>(name: string, declared: ParsedService, query: Query) =>
    client.json<T>("PUT", servicePath(name), { body: bodyOf(declared), query });
  return {
    list: () => client.list<ServiceJson>("/v1/services"),
    preview: async (name, declared, declaredBy) => {
      const preview = await put<DeployPreview>(name, declared, { dryRun: true, declaredBy });
      if (preview.change !== "update" || preview.changed.length === 0) return preview;
      const service = await client.find<ServiceJson>(servicePath(name));
      const revision = service && await client.find<RevisionJson>(
        servicePath(name, "revisions", service.latestRevision),
      );
      if (revision !== undefined) latest.set(name, revision);
      return preview;
    },
    deploy: async (name, declared, declaredBy) => {
      const before = await client.find<ServiceJson>(servicePath(name));
      const after = await put<ServiceJson>(name, declared, { wait, declaredBy });
      if (before?.etag === undefined) return { change: "create" };
      return { change: before.etag === after.etag ? "none" : "update" };
    },
    remove: (name) => client.do("DELETE", servicePath(name)),
  };
}

/** Wraps a target so that it shows progress. */
export function shownTarget(target: ApplyTarget, client: Client, screen: Screen): ApplyTarget {
  return {
    ...target,
    deploy: async (name, declared, declaredBy) => {
      const own = passing(screen, name);
      await using _ = Progress.begin(client, name, own);
      return await whileShown("deploying…", () => target.deploy(name, declared, declaredBy), own);
    },
    remove: (name) =>
      whileShown("waiting until its containers are gone…", () => target.remove(name), passing(screen, name)),
  };
}

const COLOUR: Partial<Record<ApplyResult["change"], Colour>> = { create: "green", update: "yellow", delete: "red" };

function resultLine(
  { name, change, preview }: ApplyResult,
  width: number,
  paint: Paint,
  showField: (field: string) => string,
): string {
  const line = change === "delete"
    ? `- ${name.padEnd(width)}  delete`
    : previewLine(name, { ...preview!, change }, width, showField);
  const colour = COLOUR[change];
  return colour === undefined ? line : paint(line, colour);
}

function printFailure({ name, error }: ApplyResult): void {
  console.error(`! ${name}: ${plainText(messageOf(error))}`);
  if (error instanceof ApiError) error.output.forEach((line) => console.error(`    ${plainText(line)}`));
}

function summary(results: readonly ApplyResult[], dryRun: boolean): string {
  const failed = results.filter(({ error }) => error !== undefined).length;
  const count = (change: ApplyResult["change"]) =>
    results.filter((result) => result.error === undefined && result.change === change).length;
  const [made, changed, deleted] = dryRun ? ["to make", "to change", "to delete"] : ["made", "changed", "deleted"];
  const always = `${count("create")} ${made}, ${count("update")} ${changed}, ${count("none")} unchanged`;
  const pruned = count("delete") > 0 ? `, ${count("delete")} ${deleted}` : "";
  return always + pruned + (failed > 0 ? `, ${failed} failed` : "");
}

function resultJson(result: ApplyResult) {
  return result.error === undefined ? result : { ...result, error: messageOf(result.error) };
}
