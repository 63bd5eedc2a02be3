import { UsageError } from "../errors.ts";
import { atMost, systemClock } from "../serving/clock.ts";
import type { RevisionJson, ServiceJson } from "./api_types.ts";
import { changeService } from "./changed_service.ts";
import { ApiError, type Client, servicePath } from "./client.ts";
import { readChange, TEMPLATE_FLAGS, UNSET_FLAG } from "./deploy/flags.ts";
import { mergeChange, type ServiceBody, type TemplateChange } from "./deploy/merge.ts";
import { Progress, type Screen, stderrScreen } from "./deploy/progress.ts";
import { eventsOf } from "./event_stream.ts";
import { type PreviewJson, previewLine } from "./output/preview.ts";
import { saidTraffic, tagUrl } from "./output/traffic_text.ts";
import { type Call, clientVerb, JSON_FLAG, parseWhole, printJson } from "./verb.ts";

const REVISION = "New revision";
/** How long to wait for events that tell of what has been answered already, ms. */
const LATE_EVENTS_MS = 250;

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
    const { client } = call;
    const change = await readChange(call);
    const [traffic] = call.read("traffic", parseWhole);
    const request = {
      ...(traffic === undefined ? {} : { traffic }),
      ...(call.text("tag") && { tag: call.text("tag") }),
    };
    const send = async <T>(query: Record<string, boolean | undefined>): Promise<{ answer: T; before?: ServiceJson }> =>
      await changeService(client, name, async (before) => {
        const body = { ...await merged(client, name, before, change), ...request };
        const answer = await client.json<T>("PUT", servicePath(name), { body, query, ifMatch: before?.etag });
        return { answer, ...(before === undefined ? {} : { before }) };
      });
    if (call.on("dry-run")) {
      const { answer } = await send<PreviewJson>({ dryRun: true });
      return call.on("json") ? printJson(answer) : console.log(previewLine(name, answer));
    }
    const screen = call.on("quiet") ? undefined : stderrScreen();
    await using watch = screen && await watchService(client, name, screen);
    const wait = call.switched("wait") === false ? false : undefined;
    const { answer, before } = await send<ServiceJson>({ wait });
    if (screen !== undefined) {
      if (answer.latestRevision === before?.latestRevision) {
        screen.line(`${answer.latestRevision} is the latest already`);
      } else if (wait !== false) await watch?.end();
      screen.line(`traffic: ${saidTraffic(answer.traffic)}`);
    }
    printService(call, answer);
  },
});

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
    return mergeChange(undefined, [], change);
  }
  const latest = await client.get<RevisionJson>(servicePath(name, "revisions", service.latestRevision));
  return mergeChange(latest.template, service.domains, change);
}

/** Shows what happens to a service until it is let go of. Where events cannot be had, the deploy goes on without. */
async function watchService(client: Client, name: string, screen: Screen) {
  const aborter = new AbortController();
  const progress = new Progress(screen);
  let done = Promise.resolve();
  try {
    const asking = { query: { service: name }, accept: "text/event-stream", signal: aborter.signal };
    const { body } = await client.send("GET", "/v1/events", asking);
    done = (async () => {
      for await (const event of eventsOf(body!, aborter.signal)) progress.show(event);
    })().catch(() => {});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  return {
    /** Waits for the event that tells of the end. */
    async end(): Promise<void> {
      await atMost(Promise.race([progress.ready, done]), systemClock, LATE_EVENTS_MS);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      aborter.abort();
      await done;
      screen.clear();
    },
  };
}

function printService(call: Call, service: ServiceJson): void {
  if (call.on("json")) return printJson(service);
  const tag = call.text("tag");
  console.log(service.url);
  if (tag !== undefined) console.log(tagUrl(service.url, tag));
}
