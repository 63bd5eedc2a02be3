import type { DeployPreview } from "../control/records.ts";
import { resolveTraffic } from "../model/traffic.ts";
import { UsageError } from "../base/errors.ts";
import type { RevisionJson, ServiceJson } from "./api_types.ts";
import { changeService } from "./changed_service.ts";
import { type Client, type Query, servicePath } from "./client.ts";
import { readChange, TEMPLATE_FLAGS, UNSET_FLAG } from "./deploy/flags.ts";
import { mergeChange, type ServiceBody, type TemplateChange } from "./deploy/merge.ts";
import { Watch } from "./deploy/watch.ts";
import { INTERRUPTED, untilInterrupted } from "./interrupt.ts";
import { previewLine } from "./output/preview.ts";
import { stderrScreen } from "./output/screen.ts";
import { saidTraffic, tagUrl } from "./output/traffic_text.ts";
import { type Call, clientVerb, JSON_FLAG, printJson } from "./verb.ts";

const REVISION = "New revision";
/** `cless deploy`: makes a service, or a new revision of one. */
export const deploy = clientVerb({
  name: "deploy",
  group: "Change",
  summary: "Deploy a new service, or change one",
  args: ["NAME"],
  flags: [
    ...TEMPLATE_FLAGS,
    UNSET_FLAG,
    {
      name: "traffic",
      value: "PERCENT",
      group: REVISION,
      help: "How much the new revision gets; 0 to look at it first. Else the share of latest, or everything",
    },
    { name: "tag", value: "TAG", group: REVISION, help: "Give it an address of its own, TAG--NAME" },
    {
      name: "wait",
      group: REVISION,
      default: "on",
      help: "Move traffic when an instance of it is ready, and not before",
    },
    { name: "dry-run", group: REVISION, help: "Say what would change, and change nothing" },
    { ...JSON_FLAG, help: "Print the service as JSON, in place of its URL" },
    { name: "quiet", short: "q", help: "Show no progress" },
  ],
  notes: [
    "What is not said stays as in the latest revision. Ends with the URL of the service, and that of the tag. Where the new revision does not become ready, everything stays as it was.",
    "Variables and volumes are added to those of the latest revision, domains to those of the service; --unset takes all of one kind away first.",
  ],
  example: [
    "cless deploy web --image ghcr.io/acme/web:v1 --env MODE=fast --memory 256m",
    "cless deploy web --image ghcr.io/acme/web:v2 --traffic 0 --tag next",
  ],
  run: async (call) => {
    const name = call.args[0]!;
    const change = await readChange(call);
    const traffic = call.whole("traffic");
    const tag = call.text("tag");
    const request = { ...(traffic === undefined ? {} : { traffic }), ...(tag === undefined ? {} : { tag }) };
    const put: Put = (query, signal) =>
      changeService(call.client, name, async (before) => {
        const body = { ...await merged(call.client, name, before, change), ...request };
        const asking = { body, query, ifMatch: before?.etag, signal };
        return { answer: await call.client.json("PUT", servicePath(name), asking), before };
      });
    if (call.on("dry-run")) {
      const { answer } = await put<DeployPreview>({ dryRun: true });
      return call.on("json") ? printJson(answer) : console.log(previewLine(name, answer));
    }
    const code = await untilInterrupted((signal) => deployShown(call, put, signal));
    if (code === INTERRUPTED) {
      console.error(`a deploy that has begun goes on; cless describe ${name} shows what it comes to`);
    }
    return code;
  },
});

/** Sends the deploy, and tells what the service was before. */
type Put = <T>(query: Query, signal?: AbortSignal) => Promise<{ answer: T; before: ServiceJson | undefined }>;

/** Deploys, and shows what happens meanwhile. */
async function deployShown(call: Call, put: Put, signal: AbortSignal): Promise<number> {
  const screen = call.on("quiet") ? undefined : stderrScreen();
  await using watch = screen && await Watch.start(call.client, call.args[0]!, screen);
  const wait = call.switched("wait") === false ? false : undefined;
  const { answer, before } = await put<ServiceJson>({ wait }, signal);
  const { latestRevision, traffic } = answer;
  if (latestRevision === before?.latestRevision) screen?.line(`${latestRevision} is the latest already`);
  else if (wait !== false) await watch?.end();
  screen?.line(`traffic: ${saidTraffic(resolveTraffic(traffic, latestRevision))}`);
  printService(call, answer);
  return 0;
}

/** The body of the PUT. @throws {UsageError} Where a new service has no image. */
async function merged(
  client: Client,
  name: string,
  service: ServiceJson | undefined,
  change: TemplateChange,
): Promise<ServiceBody> {
  if (service === undefined) {
    if (change.fields["image"] === undefined) {
      throw new UsageError(`there is no service ${name} yet, and a new one needs --image IMAGE`);
    }
    return mergeChange(undefined, undefined, change);
  }
  const latest = await client.get<RevisionJson>(servicePath(name, "revisions", service.latestRevision));
  return mergeChange(latest.template, service, change);
}

function printService(call: Call, service: ServiceJson): void {
  if (call.on("json")) return printJson(service);
  const tag = call.text("tag");
  console.log(service.url);
  if (tag !== undefined) console.log(tagUrl(service.url, tag));
}
