import type { RevisionJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import type { DeployPreview } from "../control/records.ts";
import { UsageError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { parseCapability } from "../model/isolation.ts";
import { parseDuration } from "../model/time.ts";
import { parseMemoryLimit } from "../model/memory.ts";
import { resolveTraffic } from "../model/traffic.ts";
import { ACCESS_UNSETS, readAccessChange } from "./access_change.ts";
import { changeService, type Query, servicePath } from "./client.ts";
import { deploysOf } from "./deploys.ts";
import { fieldChangeText } from "./field_change.ts";
import { type Flag, flag, inGroup } from "./flags.ts";
import { changesText, type DeclaredService, previewLine } from "./preview.ts";
import { nearestService } from "./nearest_service.ts";
import { Progress } from "./progress.ts";
import { INTERRUPTED, untilInterrupted } from "./streams.ts";
import { mergeChange, readEnvFile, type TemplateChange } from "./template_change.ts";
import { stderrScreen } from "./terminal.ts";
import { splitText } from "./text.ts";
import { type Call, checked, clientVerb, JSON_FLAG, parseNumber, parseWhole, printJson } from "./verb.ts";

const FLAGS: readonly Flag[] = [
  ...inGroup("Container", {
    "--image IMAGE": "The image; a new service needs one",
    "--port N = 8080": "Where the app listens in its container",
    "--env KEY=VALUE…": "Set a variable",
    "--env-file FILE…": "Set the variables of a file with lines KEY=VALUE; --env wins over it",
    "--unset-env KEY…": "Remove a variable",
    "--secret-env KEY=NAME…": "Set a variable to the value of a secret",
    "--command WORD…": "Run this in place of the image's command, or with the image's entrypoint; once for each word",
    "--volume SOURCE:PATH[:ro]…": "Mount a volume, or a folder that serve allows, at a path",
    "--pull-policy WHEN = missing": "missing, always or never",
    "--readiness-path PATH = /": "The path that is requested to see if an instance is ready",
    "--liveness-path PATH":
      "The path that is requested repeatedly to see if an instance still works; if not, it is replaced",
    "--liveness-every TIME": "How often that path is requested: 10s if only --liveness-path is given",
    "--user USER[:GROUP]": "The user that the app runs as, in place of the image's user",
    "--read-only": "Let the app write only into its volumes and /tmp, which is in memory",
    "--cap-add NAME…": "Give the app a capability of Linux, such as NET_RAW",
    "--cap-drop NAME…": "Take a capability of Linux away, or ALL",
    "--runtime NAME": "The engine's runtime for the container, such as runsc",
    "--node NAME": "The machine of a Swarm on which instances run",
    "--node-label KEY=VALUE…": "A label that such a machine must have",
    "--spread LABEL": "The label of machines over whose values instances are spread evenly",
  }),
  ...inGroup("Limits", {
    "--concurrency N = 0": "Requests at once per instance; 0 is any number",
    "--min N = 0": "How many instances always run, at most --max",
    "--max N = 1": "How many instances may run",
    "--memory SIZE": "Memory of an instance, such as 256m or 1g; at least 6m",
    "--cpus N": "CPUs of an instance, such as 0.5",
    "--start-timeout TIME": "How long a container may take from its start to its first answer",
    "--request-timeout TIME": "How long from a request's arrival to the headers of its answer",
    "--client-timeout TIME": "How long a client may stop sending its request or reading its answer",
    "--pause-after TIME": "How long an instance may be idle before it is paused",
    "--hibernate-after TIME": "How long an instance may be idle before its memory is moved to the machine's swap",
    "--stop-after TIME": "How long an instance may be idle before it is stopped",
    "--hang-after TIME = 20s":
      "How long an instance may answer no request before cless checks whether it hangs; 0 is never",
  }),
  ...inGroup("Service", {
    "--domain NAME…": "Another hostname that leads to the service",
    "--loading WHAT = hold": "What a browser gets while the service starts: hold (it waits for the app), or page",
    "--wake-except-agent TEXT…":
      "Clients with TEXT in their User-Agent do not wake the service, and get 503 while it sleeps; known-robots stands for those that cless robots lists",
    "--wake-except-path PATH…":
      "Requests for PATH and everything below it do not wake the service; / is only the root page",
    "--unset FLAG…":
      "Set another flag's field back to its default, before the other flags: --unset memory, --unset liveness",
  }),
  ...inGroup("Who may use it", {
    "--allow RANGE…": "Clients at an address, or in a range such as 10.0.0.0/8, may always use the service",
    "--basic USER=HASH…": "USER may use it with the password of this hash, which cless password prints",
    "--basic-pass": "The app gets the user and the password too",
    "--forward-auth URL": "The server at URL decides about each request",
    "--oidc-issuer URL": "People may use it who sign in with this OpenID provider",
    "--oidc-client-id ID": "What the provider calls the service",
    "--oidc-client-secret NAME": "The secret with which the service proves itself to the provider",
    "--oidc-allow WHO…": "Of those who sign in, only these: an e-mail address, *@DOMAIN or group:NAME",
    "--open-path PATH…": "Everybody may use a path, or everything below it: /health, /webhooks/*",
  }),
  ...inGroup("How much it accepts", {
    "--rate N": "Requests per second in the long run, such as 20 or 0.5; others get 429",
    "--burst N": "Requests that may come at once; as many as in a second if only --rate is given",
    "--rate-per WHAT = address": "Who has this rate: each address of a client, or the whole service",
    "--max-body SIZE": "The largest body of a request, such as 20m; a larger one gets 413",
    "--maintenance TEXT": "What everybody is told with a 503, except clients in --allow; --unset maintenance ends it",
  }),
  ...inGroup("New revision", {
    "--traffic PERCENT":
      "How much the new revision gets; 0 to look at it first. By default the share of latest, or everything",
    "--tag TAG": "Give it an address of its own, TAG--NAME",
    "--[no-]wait": "Move traffic when an instance of it is ready, and not before",
    "--renew": "Make a new revision even if nothing has changed, such as for defaults that the latest does not have",
    "--dry-run": "Say what would change, and change nothing",
  }),
  { ...JSON_FLAG, help: "Print the service as JSON, in place of its URL" },
  flag("-q, --quiet", "Show no progress"),
];

/** `cless deploy`: makes a service, or a new revision of one. */
export const deploy = clientVerb({
  name: "deploy",
  summary: "Deploy a new service, or change one",
  args: ["NAME"],
  flags: FLAGS,
  notes: [
    "Everything that no flag mentions stays as in the latest revision. The URL of the service is printed at the end, and that of the tag. If the new revision does not become ready, nothing changes.",
    "Variables and volumes are added to those of the latest revision, domains, addresses, users and paths to those of the service; --unset removes all of one kind first.",
    "A hash has $ in it, so it belongs in single quotes: --basic 'alice=$scrypt$…'. Users, addresses, --forward-auth and sign-in are ways into the service; one is enough. --unset access opens it to everybody.",
    "A value that begins with -- is written with =, such as --command=--verbose.",
  ],
  example: [
    "cless deploy web --image ghcr.io/acme/web:v1 --env MODE=fast --memory 256m",
    "cless deploy web --image ghcr.io/acme/web:v2 --traffic 0 --tag next",
    'cless deploy web --basic "alice=$(cless password)" --rate 20',
  ],
  check: (call) => {
    readChange(call);
    call.whole("traffic");
  },
  run: async (call) => {
    const { args: [name = ""], client } = call;
    const change = await withFiles(call, readChange(call));
    const request = defined({ traffic: call.whole("traffic"), tag: call.text("tag") });
    const put: Put = (query, signal) =>
      changeService(client, name, async (before) => {
        if (before === undefined && change.fields["image"] === undefined) {
          const nearest = await nearestService(client, [name]);
          throw new UsageError(`there is no service ${name} yet, and a new one needs --image IMAGE${nearest}`);
        }
        const latest = before && await client.get<RevisionJson>(servicePath(name, "revisions", before.latestRevision));
        const body = { ...mergeChange(latest?.template, before, change), ...request };
        const options = { body, query, ifMatch: before?.etag, signal };
        return { answer: await client.json("PUT", servicePath(name), options), before, latest, body };
      });
    if (call.on("dry-run")) {
      const renew = call.on("renew") || undefined;
      const { answer, body, latest } = await put<DeployPreview>({ dryRun: true, renew });
      const show = (field: string) => fieldChangeText(field, latest, body);
      return call.on("json") ? printJson(answer) : console.log(previewLine(name, answer, name.length, show));
    }
    const code = await untilInterrupted((signal) => deployShown(call, put, signal));
    if (code === INTERRUPTED) {
      console.error(`the deploy continues; cless describe ${name} shows how far it is, and how it has ended`);
    }
    return code;
  },
});

/** What a deploy sends, and what was before. */
interface Sent<T> {
  readonly answer: T;
  readonly body: Readonly<Record<string, unknown>>;
  readonly before: ServiceJson | undefined;
  readonly latest: RevisionJson | undefined;
}

/** Sends the deploy. Resolves with the answer. */
type Put = <T>(query: Query, signal?: AbortSignal) => Promise<Sent<T>>;

async function deployShown(call: Call, put: Put, signal: AbortSignal): Promise<number> {
  const screen = call.on("quiet") ? undefined : stderrScreen();
  if (screen !== undefined) {
    const [last] = await deploysOf(call.client, call.args[0]!);
    if (last?.outcome === "running") {
      screen.line(`waits for another deploy of ${call.args[0]}, whose progress comes first`);
    }
  }
  await using progress = screen && await Progress.start(call.client, call.args[0]!, screen);
  const wait = call.flags.get("wait") === false ? false : undefined;
  const renew = call.on("renew") || undefined;
  const { answer, before } = await put<ServiceJson>({ wait, renew }, signal);
  const { latestRevision, oidcCallbacks = [], tagUrls, traffic, url } = answer;
  const changes = before === undefined ? "" : changesText("", settingsOf(before), settingsOf(answer));
  if (latestRevision !== before?.latestRevision) {
    if (wait !== false) await progress?.end();
  } else if (answer.etag === before.etag) screen?.line(`${latestRevision} is the latest already`);
  else if (changes === "") screen?.line(`${answer.name} is changed`); // such as the password of a user
  if (changes !== "") screen?.line(changes);
  screen?.line(`traffic: ${splitText(resolveTraffic(traffic, latestRevision))}`);
  // Also without a terminal: sign-in works only once the provider knows the address.
  for (const callback of oidcCallbacks.filter((one) => !before?.oidcCallbacks?.includes(one))) {
    if (!call.on("quiet")) console.error(`redirect URI for the provider of the sign-in: ${callback}`);
  }
  const tagUrl = tagUrls?.[call.text("tag") ?? ""];
  if (call.on("json")) printJson(answer);
  else console.log(tagUrl === undefined ? url : `${url}\n${tagUrl}`);
  return 0;
}

/** What a deploy changes at once, without a new revision. */
function settingsOf(service: ServiceJson): DeclaredService {
  return { ...service, traffic: undefined, revisionHistory: undefined };
}

/**
 * The field that each `--unset FLAG` resets. `read` is given if a flag of that name sets the whole field: it reads the
 * flag's value.
 */
const FIELDS: Readonly<Record<string, readonly [field: string, read?: (text: string) => unknown]>> = {
  "port": ["port", parseWhole],
  "env": ["env"],
  "secret-env": ["secretEnv"],
  "command": ["command"],
  "volume": ["volumes"],
  "pull-policy": ["pullPolicy", String],
  "readiness-path": ["readiness", (path) => ({ path })],
  "liveness": ["liveness"],
  "user": ["user", String],
  "read-only": ["readOnly"],
  "capabilities": ["capabilities"],
  "runtime": ["runtime", String],
  "placement": ["placement"],
  "concurrency": ["concurrency", parseWhole],
  "min": ["minInstances", parseWhole],
  "max": ["maxInstances", parseWhole],
  "memory": ["memory", checked(parseMemoryLimit)],
  "cpus": ["cpus", parseNumber],
  "start-timeout": ["startTimeout", checked(parseDuration)],
  "request-timeout": ["requestTimeout", checked(parseDuration)],
  "client-timeout": ["clientTimeout", checked(parseDuration)],
  "pause-after": ["pauseAfter", checked(parseDuration)],
  "hibernate-after": ["hibernateAfter", checked(parseDuration)],
  "stop-after": ["stopAfter", checked(parseDuration)],
  "hang-after": ["hangAfter", checked(parseDuration)],
  "domain": ["domains"],
  "loading": ["loading", parseLoading],
  "wake-except-agent": ["wakeExceptAgents"],
  "wake-except-path": ["wakeExceptPaths"],
  ...Object.fromEntries(ACCESS_UNSETS.map((flag) => [flag, [flag]])),
};

/** Adds the variables of `--env-file` to a change. @throws {OperatorError} For a wrong file. */
async function withFiles(call: Call, change: TemplateChange): Promise<TemplateChange> {
  const files = [];
  for (const file of call.texts("env-file")) files.push(await readEnvFile(file));
  return { ...change, env: Object.assign({}, ...files, change.env) };
}

/** Reads the flags, except for the files that they name. No mistake contains a variable's value. */
function readChange(call: Call): TemplateChange {
  const command = call.texts("command");
  const fields: Record<string, unknown> = command.length > 0 ? { command } : {};
  for (const [flag, [field, read]] of Object.entries(FIELDS)) {
    for (const value of read === undefined ? [] : call.read(flag, read)) fields[field] = value;
  }
  return {
    unset: call.read("unset", parseUnset),
    fields: defined({ image: call.text("image"), readOnly: call.flags.get("read-only"), ...fields }),
    env: call.pairs("env", "KEY=VALUE"),
    liveness: defined({
      path: call.text("liveness-path"),
      every: call.read("liveness-every", checked(parseDuration))[0],
    }),
    capabilities: {
      add: call.read("cap-add", parseCapability),
      drop: call.read("cap-drop", (text) => text === "ALL" ? text : parseCapability(text)),
    },
    placement: defined({ node: call.text("node"), spread: call.text("spread") }),
    nodeLabels: call.pairs("node-label", "KEY=VALUE"),
    secretEnv: call.pairs("secret-env", "KEY=NAME"),
    unsetEnv: call.texts("unset-env"),
    volumes: call.read("volume", parseVolume),
    domains: call.texts("domain"),
    wakeExceptAgents: call.texts("wake-except-agent"),
    wakeExceptPaths: call.texts("wake-except-path"),
    access: readAccessChange(call),
  };
}

function parseUnset(text: string): string {
  const [field] = Object.hasOwn(FIELDS, text) ? FIELDS[text]! : [];
  if (field === undefined) throw new RangeError(`expected one of ${Object.keys(FIELDS).join(", ")}`);
  return field;
}

function parseLoading(text: string): string {
  if (text !== "hold" && text !== "page") throw new RangeError("expected hold or page");
  return text;
}

function parseVolume(text: string): { source: string; path: string; readOnly: boolean } {
  const [, source, path, readOnly] = /^([^:]+):(\/[^:]*)(:ro)?$/.exec(text) ?? [];
  if (source === undefined) throw new RangeError("expected SOURCE:PATH or SOURCE:PATH:ro, the path with a slash first");
  return { source, path: path!, readOnly: readOnly !== undefined };
}
