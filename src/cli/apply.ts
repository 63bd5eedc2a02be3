import { resolve } from "node:path";
import { applyManifest, type ApplyResult, readManifest } from "../control/manifest/apply.ts";
import { parseManifest } from "../control/manifest/manifest.ts";
import { retiredWarning } from "../control/schema/schema.ts";
import { messageOf, UsageError } from "../base/errors.ts";
import { apiTarget } from "./apply/api_target.ts";
import { shownTarget } from "./apply/shown_target.ts";
import { ApiError } from "./client.ts";
import { type Colour, type Paint, paintFor } from "./output/paint.ts";
import { MARKS, previewText } from "./output/preview.ts";
import { stderrScreen } from "./output/screen.ts";
import { plainText } from "./output/table.ts";
import { clientVerb, JSON_FLAG, printJson, QUIET_FLAG } from "./verb.ts";

/** `cless apply`: makes the services what a file declares. */
export const apply = clientVerb({
  name: "apply",
  group: "Change",
  summary: "Make the services what a file declares",
  args: [],
  flags: [
    { name: "file", short: "f", value: "FILE", help: "The file, YAML; - is what comes on the input" },
    { name: "prune", help: "Delete services that this file has declared once and does not any more" },
    { name: "dry-run", help: "Say what would change, and change nothing" },
    { name: "wait", default: "on", help: "Move traffic when an instance of a new revision is ready, and not before" },
    JSON_FLAG,
    QUIET_FLAG,
  ],
  notes: [
    "Below services: stands each service by its name, with the fields that the admin API takes: services: { web: { image: acme/web:v1, env: { MODE: fast } } }. Editors find their schema at /schema.json of the admin API. A file that is wrong changes nothing. What is declared already changes nothing either: a traffic that the file does not mention stays as it is.",
    "--prune deletes what this file, known by its absolute path, has declared at some time, and nothing else: not what was only ever deployed by hand, and not what another file declares.",
    "Lines begin with + for what is made, ~ changed, = left as it is, - deleted, ! failed.",
  ],
  example: [
    "cless apply -f services.yaml --dry-run",
    "cless export --no-traffic | ssh other sudo cless apply -f -",
  ],
  run: async (call) => {
    const given = call.text("file");
    if (given === undefined) throw new UsageError("apply needs a file: cless apply -f FILE");
    const [dryRun, prune] = [call.on("dry-run"), call.on("prune")];
    const file = isPassing(given) ? undefined : resolve(given);
    if (prune && file === undefined) throw new UsageError("--prune needs a file, which tells what was declared by it");
    const text = given === "-" ? await new Response(Deno.stdin.readable).text() : await readManifest(given);
    const manifest = parseManifest(text, given === "-" ? "(input)" : given);
    const warning = retiredWarning(manifest.values());
    if (warning !== undefined) console.error(`warning: ${warning}`);
    const silent = call.on("json") || call.on("quiet");
    const plain = apiTarget(call.client, call.switched("wait") === false ? false : undefined);
    const target = silent || !Deno.stderr.isTerminal() ? plain : shownTarget(plain, call.client, stderrScreen());
    const width = Math.max(0, ...[...manifest.keys()].map((name) => name.length));
    const paint = paintFor(Deno.stdout, call.surroundings);
    const results = await applyManifest(manifest, file, target, {
      prune,
      dryRun,
      onResult: (result) => {
        if (result.error !== undefined) printFailure(result);
        else if (!silent) console.log(line(result, width, paint));
      },
    });
    if (call.on("json")) printJson(results.map(resultJson));
    else if (!silent) console.log(summary(results, dryRun));
    return results.some(({ error }) => error !== undefined) ? 1 : 0;
  },
});

/** Whether a path is that of no file, but of a pipe such as the shell's `<(…)`: it means something else every time. */
function isPassing(path: string): boolean {
  return path === "-" || /^\/(?:dev|proc)\//.test(resolve(path));
}

const COLOUR: Partial<Record<ApplyResult["change"], Colour>> = { create: "green", update: "yellow", delete: "red" };

function line({ name, change, preview }: ApplyResult, width: number, paint: Paint): string {
  const text = change === "delete" ? "delete" : preview === undefined ? "" : previewText({ ...preview, change });
  const shown = `${MARKS[change]} ${name.padEnd(width)}  ${text}`.trimEnd();
  const colour = COLOUR[change];
  return colour === undefined ? shown : paint(shown, colour);
}

function printFailure({ name, error }: ApplyResult): void {
  console.error(`! ${name}: ${plainText(messageOf(error))}`);
  if (error instanceof ApiError) error.output.forEach((line) => console.error(`    ${plainText(line)}`));
}

/** How many of each. */
function summary(results: readonly ApplyResult[], dryRun: boolean): string {
  const failed = results.filter(({ error }) => error !== undefined).length;
  const count = (change: ApplyResult["change"]) =>
    results.filter((result) => result.error === undefined && result.change === change).length;
  const [made, changed, deleted] = dryRun ? ["to make", "to change", "to delete"] : ["made", "changed", "deleted"];
  return [
    `${count("create")} ${made}`,
    `${count("update")} ${changed}`,
    `${count("none")} unchanged`,
    ...(count("delete") > 0 ? [`${count("delete")} ${deleted}`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(", ");
}

function resultJson({ error, ...result }: ApplyResult) {
  return { ...result, ...(error === undefined ? {} : { error: messageOf(error) }) };
}
