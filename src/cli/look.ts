import type { TimelineJson } from "../admin/operations/activity.ts";
import type { InstanceJson } from "../admin/operations/instances.ts";
import type { DeployJson } from "../admin/operations/deploys.ts";
import type { HistoryJson } from "../admin/operations/history.ts";
import type { RevisionJson, RevisionSummaryJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import type { WakesJson } from "../admin/operations/wakes.ts";
import { UsageError } from "../base/errors.ts";
import type { TemplateJson } from "../control/schema/schema.ts";
import { parseMemory } from "../model/memory.ts";
import { KNOWN_ROBOTS } from "../routing/known_robots.ts";
import { accessText, limitsText } from "./access_text.ts";
import { type Client, servicePath } from "./client.ts";
import { waitingText } from "./progress.ts";
import { clauseOf, deploysOf, deployTable, failedDeployText, failedSince, hasFailed } from "./deploys.ts";
import { flag } from "./flags.ts";
import { age, ago, durationText, indented, pairs, plainText, sharesText, sizeText, stateText, table } from "./text.ts";
import { trafficTable } from "./traffic.ts";
import { type Call, clientVerb, JSON_FLAG, NAMES_FLAG, printJson, printList } from "./verb.ts";

/** The flag of verbs that show one service. */
const SHOW_ENV_FLAG = flag("--show-env", "Show the values of its variables, not only their names");

/** `cless services`: lists the services, or shows one. */
export const services = clientVerb({
  name: "services",
  summary: "List the services, each with its state, or show everything about one",
  args: ["[NAME]"],
  flags: [JSON_FLAG, NAMES_FLAG, { ...SHOW_ENV_FLAG, help: "With NAME: show the values of its variables too" }],
  notes: [
    "With NAME, it is the same as cless describe NAME.",
    "LATEST is the revision that was deployed last, TRAFFIC says which revisions answer requests.",
    "STATE is ready, starting, paused, hibernated (its memory is in the swap), asleep (without an instance), failing with the reason and for how long (its last start failed, and no instance could answer a request), or deploying (a deploy of it is under way). Beside it stands that its last deploy, within a day, did not work: cless describe NAME says why.",
    "MEMORY and SWAP are what it uses now. CPU is its processor time since its first start. SAVED is the share of memory saved since its first start, of what one instance that is always awake would have used.",
    "A service that nobody has declared, found by the name of its image, is listed once it has been used. What could not be deployed in the last day, and so is no service, is named below the list, on standard error, and so is what is deployed for the first time now.",
  ],
  example: ["cless services", "cless services --json | jq -r '.[].url'"],
  run: async (call) => {
    const [name] = call.args;
    if (name !== undefined && call.on("quiet")) throw new UsageError(`--quiet is for the list; ${name} is one service`);
    if (name !== undefined) return await describe.run(call);
    if (call.on("show-env")) throw new UsageError("--show-env needs NAME: cless services NAME --show-env");
    const all = await call.client.list<ServiceJson>("/v1/services");
    const haveCosts = all.some(({ cost }) => cost !== undefined);
    const haveSwap = all.some(({ cost }) => cost !== undefined && cost.swapBytes > 0);
    const isText = !call.on("json") && !call.on("quiet");
    const timelines = isText ? await call.client.find<TimelineJson[]>("/v1/timelines") ?? [] : []; // an older cless has none
    const lastDeploys = new Map(timelines.map(({ deploys, service }) => [service, deploys.at(-1)]));
    const states = isText
      ? await Promise.all(all.map((service) => listedState(call.client, service, lastDeploys.get(service.name))))
      : [];
    const rows = all.map((service, at) => [
      service.name,
      service.url,
      service.latestRevision,
      sharesText(service.traffic, service.latestRevision),
      age(service.createdAt),
      ...(haveCosts ? costColumns(service.cost, haveSwap) : []),
      states[at] ?? "",
    ]);
    const costs = haveCosts ? ["MEMORY", ...(haveSwap ? ["SWAP"] : []), "CPU", "SAVED"] : [];
    const list = table(["NAME", "URL", "LATEST", "TRAFFIC", "AGE", ...costs, "STATE"], rows);
    printList(call, all, list, "there are no services yet; cless deploy makes one");
    if (!isText) return;
    const { failed, running } = notServices(timelines, new Set(all.map(({ name }) => name)));
    if (running.length > 0) {
      console.error(`deployed for the first time now: ${running.join(", ")}; cless describe NAME shows how far it is`);
    }
    if (failed.length > 0) console.error(`not deployed: ${failed.join(", ")}; cless describe NAME says why`);
  },
});

type LastDeploy = TimelineJson["deploys"][number] | undefined;

/**
 * The state of a service in one clause, with the last line of output if it is failing, and with its last deploy if that
 * has not worked.
 */
async function listedState(client: Client, service: ServiceJson, lastDeploy: LastDeploy): Promise<string> {
  const { latestRevision, maintenance, name, state } = service;
  const isDeployed = lastDeploy === undefined || lastDeploy.outcome === "deployed";
  const deploy = isDeployed ? "" : `; last deploy ${lastDeploy.outcome} ${ago(lastDeploy.at)}`;
  // `describe` shows what to do about a failure.
  const text = stateText(service).replace(/;.*/s, "") + (maintenance === undefined ? "" : " (maintenance)");
  if (state !== "failing") return text + deploy;
  const latest = await client.find<RevisionJson>(servicePath(name, "revisions", latestRevision));
  const line = latest?.failure?.output?.findLast((line) => line.trim() !== "");
  return text + (line === undefined ? "" : `; last line: ${plainText(line).trim()}`) + deploy;
}

/** What is no service: its last deploy, within a day, did not work, or its first one is running. */
function notServices(
  timelines: readonly TimelineJson[],
  known: ReadonlySet<string>,
): Record<"failed" | "running", string[]> {
  const [failed, running]: [string[], string[]] = [[], []];
  for (const { deploys, service, spells } of timelines) {
    if (known.has(service)) continue;
    if (spells.at(-1)?.state === "deploying") running.push(service);
    else if (deploys.length > 0 && deploys.at(-1)!.outcome !== "deployed") failed.push(service);
  }
  return { failed, running };
}

function costColumns(cost: ServiceJson["cost"], haveSwap: boolean): string[] {
  if (cost === undefined) return haveSwap ? ["-", "-", "-", "-"] : ["-", "-", "-"];
  const swap = haveSwap ? [sizeText(cost.swapBytes)] : [];
  return [sizeText(cost.memoryBytes), ...swap, durationText(1000 * cost.cpuSeconds), savedText(cost)];
}

/** The share of memory saved, beside one instance that is always awake. */
function savedText({ savedByteSeconds, usedByteSeconds }: NonNullable<ServiceJson["cost"]>): string {
  const all = savedByteSeconds + usedByteSeconds;
  return all === 0 ? "-" : `${Math.max(0, Math.floor(100 * savedByteSeconds / all))}%`;
}

/** The state of a service, with how long and why if it is failing, or what it waits for. */
function wholeStateText(service: ServiceJson): string {
  const { state, waiting } = service;
  return waiting === undefined ? stateText(service) : `${state} for ${waitingText(waiting, Date.now())}`;
}

/** `cless revisions`: lists the revisions of a service, the newest first. */
export const revisions = clientVerb({
  name: "revisions",
  summary: "List the revisions of a service, the newest first",
  args: ["NAME"],
  flags: [flag("-a, --all", "Also those of the last deploys that never worked"), JSON_FLAG, NAMES_FLAG],
  example: ["cless revisions web", "cless revisions web --all"],
  run: async (call) => {
    const { args: [name = ""], client } = call;
    const path = servicePath(name, "revisions");
    const tried = call.on("all") ? triedRevisions(await deploysOf(client, name)) : [];
    const made = tried.length === 0
      ? await client.list<RevisionSummaryJson>(path)
      : await client.find<RevisionSummaryJson[]>(path) ?? []; // it may never have worked
    const names = new Set(made.map(({ name }) => name));
    const all: ListedRevision[] = [...made, ...tried.filter(({ name }) => !names.has(name))];
    if (tried.length > 0) all.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
    printList(call, all, revisionTable(all));
  },
});

/** A revision that never worked. There is nothing of it but the record of its deploy. */
interface TriedRevision extends Pick<RevisionSummaryJson, "name" | "image" | "percent" | "createdAt"> {
  readonly tag?: undefined;
  readonly deploy: DeployJson;
}

type ListedRevision = RevisionSummaryJson | TriedRevision;

/** The revisions of deploys that did not work, each once. */
function triedRevisions(deploys: readonly DeployJson[]): TriedRevision[] {
  const byName = new Map<string, TriedRevision>();
  for (const deploy of deploys) {
    const { image, revision: name, startedAt: createdAt } = deploy;
    if (name === undefined || !hasFailed(deploy) || byName.has(name)) continue;
    byName.set(name, { name, image, percent: 0, createdAt, deploy });
  }
  return [...byName.values()];
}

/** Revisions as a table, with a column for failures if there are any. */
function revisionTable(revisions: readonly ListedRevision[]): string {
  const failures = revisions.map(failedText);
  const failed = failures.some((text) => text !== undefined);
  const columns = ["NAME", "TRAFFIC", "TAG", "IMAGE", "AGE"];
  const rows = revisions.map(({ name, percent, tag = "-", image, createdAt }, at) => [
    ...[name, percent > 0 ? `${percent}%` : "-", tag, image, age(createdAt)],
    ...(failed ? [failures[at] ?? "-"] : []),
  ]);
  return table(failed ? [...columns, "FAILED"] : columns, rows);
}

/** How often a revision has failed, or why it never worked; `undefined` if it has not failed. */
function failedText(revision: ListedRevision): string | undefined {
  if (!("deploy" in revision)) return revision.failure && failureCount(revision.failure);
  const { outcome } = revision.deploy;
  return `${outcome === "failed" ? "never worked" : outcome}: ${clauseOf(revision.deploy)}`;
}

/** `cless instances`: lists the running containers, of all services or of some. */
export const instances = clientVerb({
  name: "instances",
  summary: "List the running instances, of all services or of some",
  args: ["[NAME…]"],
  flags: [JSON_FLAG, NAMES_FLAG],
  notes: [
    "A starting instance does not answer yet; a ready one serves; a paused one keeps its memory, uses no CPU, and wakes with the next request; so does a hibernated one, whose memory is in the swap; a draining one answers its last requests, and is stopped then.",
    "MEMORY is what it uses now, without what the kernel could free at once. SWAP is what it has in the machine's swap.",
  ],
  example: ["cless instances", "cless instances web shop"],
  run: async (call) => {
    const all = (await call.client.list<InstanceJson>("/v1/instances"))
      .filter(({ service }) => call.args.length === 0 || call.args.includes(service));
    printList(call, all, instanceTable(all), "no instance runs now; the next request starts one");
  },
});

/** Instances as a table, with columns for failures and for sessions of `cless exec` if there are any. */
function instanceTable(instances: readonly InstanceJson[]): string {
  const failed = instances.some(({ failure }) => failure !== undefined);
  const swaps = instances.some(({ swapBytes = 0 }) => swapBytes > 0);
  const visited = instances.some(({ sessions = 0 }) => sessions > 0);
  const memory = ["MEMORY", ...(swaps ? ["SWAP"] : [])];
  const columns = [
    "ID",
    "SERVICE",
    "REVISION",
    "STATE",
    "IN-FLIGHT",
    ...(visited ? ["EXEC"] : []),
    ...memory,
    "ADDRESS",
    "AGE",
    "LAST-USED",
  ];
  const rows = instances.map(({ id, service, revision, state, inFlight, ...instance }) => [
    ...[id, service, revision, state, String(inFlight)],
    ...(visited ? [String(instance.sessions ?? 0)] : []),
    instance.memoryBytes === undefined ? "-" : sizeText(instance.memoryBytes),
    ...(swaps ? [sizeText(instance.swapBytes ?? 0)] : []),
    instance.address || "-",
    age(instance.startedAt),
    ago(instance.lastUsedAt),
    ...(failed ? [plainText(instance.failure ?? "-")] : []),
  ]);
  return table(failed ? [...columns, "FAILURE"] : columns, rows);
}

/** `cless describe`: shows everything about a service. */
export const describe = clientVerb({
  name: "describe",
  summary: "Show everything about a service",
  args: ["NAME"],
  flags: [SHOW_ENV_FLAG, JSON_FLAG],
  example: ["cless describe web"],
  run: async (call) => {
    const { client } = call;
    const path = servicePath(call.args[0]!);
    const deploys = await deploysOf(client, call.args[0]!);
    const service = deploys.length === 0 ? await client.get<ServiceJson>(path) : await client.find<ServiceJson>(path);
    if (service === undefined) return await describeTried(call, deploys);
    const [revisions, latest, instances, wakes] = await Promise.all([
      client.list<RevisionSummaryJson>(`${path}/revisions`).then((all) => withOutput(client, service.name, all)),
      client.get<RevisionJson>(servicePath(service.name, "revisions", service.latestRevision)),
      client.list<InstanceJson>("/v1/instances"),
      client.find<WakesJson[]>(`${path}/wakes`).then((wakes) => wakes ?? []), // an older cless has none
    ]);
    const own = instances.filter((instance) => instance.service === service.name);
    const showEnv = call.on("show-env");
    if (call.on("json")) {
      const { env, ...template } = latest.template;
      const shown = showEnv ? latest.template : { ...template, envNames: Object.keys(env) };
      return printJson({
        ...service,
        revisions,
        template: shown,
        limits: latest.limits,
        volumeNodes: latest.volumeNodes,
        instances: own,
        wakes,
        deploys,
      });
    }
    const failed = failedSince(deploys, latest);
    const failures = revisions.flatMap(({ name, failure }) => failure ? [lastFailureText(name, failure)] : []);
    console.log([
      pairs(serviceFacts(service)),
      section("Traffic", trafficTable(service)),
      section(`Template of ${service.latestRevision}`, pairs(templateFacts(latest, showEnv))),
      ...((latest.warnings ?? []).length === 0
        ? []
        : [section("Warnings", latest.warnings.map((warning) => plainText(`${latest.name}: ${warning}`)).join("\n"))]),
      ...(latest.limits === undefined ? [] : [section("Limits", limitTable(latest.limits))]),
      section("Revisions", revisionTable(revisions)),
      ...(failed === undefined ? [] : [section("Last failed deploy", failedDeployText(failed))]),
      ...(failures.length === 0 ? [] : [section("Failures", failures.join("\n"))]),
      section("Instances", own.length === 0 ? noneText(service, revisions) : instanceTable(own)),
      ...(wakes.length === 0
        ? []
        : [section(`Wakes in the last day (by whom: cless wakes ${service.name})`, wakeTable(wakes))]),
    ].join("\n\n"));
  },
});

function section(title: string, text: string): string {
  return `${title}\n${indented(text)}`;
}

/** Shows what is known of a service that has never worked: its deploys, the newest first. */
async function describeTried(call: Call, deploys: readonly DeployJson[]): Promise<void> {
  const { args: [name = ""], client } = call;
  const [last] = deploys;
  const isRunning = last?.outcome === "running";
  if (call.on("json")) return printJson({ name, state: isRunning ? "deploying" : "never worked", deploys });
  if (isRunning) return describeFirstDeploy(name, last, deploys.slice(1));
  const changes = await client.find<HistoryJson[]>(servicePath(name, "history"), { query: { limit: 1 } }) ?? [];
  const [change] = changes;
  console.log([
    pairs([
      ["Name", name],
      ["State", change === undefined ? "never worked" : `deleted ${ago(change.at)}, and has not worked since`],
    ]),
    ...(last === undefined ? [] : [section("Last deploy", failedDeployText(last))]),
    section("Deploys", deployTable(deploys)),
    `To try it again: cless deploy ${name} --image ${last?.image ?? "IMAGE"}, with the other flags as before`,
  ].join("\n\n"));
}

/** Shows the first deploy of a service while it runs. */
function describeFirstDeploy(name: string, running: DeployJson, before: readonly DeployJson[]): void {
  const { by, durationMs, image, revision, waiting } = running;
  const state = waiting === undefined ? durationText(durationMs) : waitingText(waiting, Date.now());
  console.log([
    pairs([
      ["Name", name],
      ["State", `deploying for ${state}`],
      revision !== undefined && ["Revision", revision],
      ["Image", image],
      ["Deployed by", by],
    ]),
    ...(before.length === 0 ? [] : [section("Deploys before", deployTable(before))]),
    `Its output: cless logs ${name} -f. To call it off: cless delete ${name}`,
  ].join("\n\n"));
}

/** Adds the output to failed revisions, which the API's list leaves out. */
function withOutput(client: Client, service: string, revisions: readonly RevisionSummaryJson[]) {
  return Promise.all(revisions.map(async (revision): Promise<Failable> => {
    if (revision.failure === undefined) return revision;
    const { failure } = await client.get<RevisionJson>(servicePath(service, "revisions", revision.name));
    return failure === undefined ? revision : { ...revision, failure };
  }));
}

function wakeTable(wakes: readonly WakesJson[]): string {
  const rows = wakes.map(({ revision, how, count, p50Ms, p99Ms }) => [
    ...[revision, how, String(count)],
    ...[durationText(p50Ms), durationText(p99Ms)],
  ]);
  return table(["REVISION", "WAKE", "COUNT", "P50", "P99"], rows);
}

function noneText({ failingSince, state }: ServiceJson, revisions: readonly RevisionSummaryJson[]): string {
  const served = revisions.filter(({ percent }) => percent > 0);
  const isRefused = served.length > 0 && served.every(({ failure }) => failure?.retryInS !== undefined);
  const next = isRefused ? "the first request after that time" : "the next request";
  if (state !== "failing") return `none; ${next} starts one`;
  const length = age(failingSince);
  return `none; it is failing${/\d/.test(length) ? ` for ${length}` : ""}, and ${next} tries again`;
}

type Fact = readonly [name: string, value: string];

function serviceFacts(service: ServiceJson): (Fact | false)[] {
  const { name, url, cost, domains, createdAt, updatedAt, declaredBy, convention, revisionHistory } = service;
  const { access, limits, loading, maintenance, wake } = service;
  const { userAgents = [], paths = [] } = wake?.except ?? {};
  const { noRobots } = service;
  const notWoken = [
    ...userAgents.map(agentText),
    ...(noRobots === undefined ? [] : [`${agentText(KNOWN_ROBOTS)}, by ${noRobots}`]),
  ];
  return [
    ["Name", name],
    ["State", wholeStateText(service)],
    ["URL", url],
    ...(cost === undefined ? [] : costFacts(cost)),
    ["Domains", domains.join(", ") || "none"],
    notWoken.length > 0 && ["Not woken by", notWoken.join(", ")],
    service.imageChanged === true &&
    ["Image", `rebuilt since ${service.latestRevision} was made: cless deploy ${name} takes it`],
    paths.length > 0 && ["Not woken at", paths.map(valueText).join(", ")],
    access !== undefined && ["May use it", accessText(access)],
    access?.except !== undefined && ["Without a lock", access.except.join(", ")],
    service.oidcCallbacks !== undefined && ["Redirect URI", service.oidcCallbacks.join(" ")],
    limits !== undefined && ["Limits", limitsText(limits)],
    maintenance !== undefined && ["Maintenance", valueText(maintenance)],
    loading === "page" && ["Loading", "a page, while it starts"],
    ["Made", convention ? "by convention, from the image of its name" : ago(createdAt)],
    convention !== true && ["Changed", ago(updatedAt)],
    ["Declared by", declaredBy ?? "no file"],
    revisionHistory !== undefined && ["Keeps", `${revisionHistory} old revisions`],
  ];
}

function agentText(userAgent: string): string {
  return userAgent === KNOWN_ROBOTS ? `${KNOWN_ROBOTS} (cless robots lists them)` : valueText(userAgent);
}

function costFacts(cost: NonNullable<ServiceJson["cost"]>): Fact[] {
  const { cpuSeconds, memoryBytes, savedByteSeconds, since, swapBytes } = cost;
  const swap = swapBytes > 0 ? `, and ${sizeText(swapBytes)} in the swap` : "";
  return [
    ["Memory", sizeText(memoryBytes) + swap],
    ["CPU", `${durationText(1000 * cpuSeconds)} since its first start, ${ago(since)}`],
    [
      "Saved",
      savedByteSeconds <= 0
        ? "-"
        : `${savedText(cost)} of the memory of one that is always awake, since its first start`,
    ],
  ];
}

function templateFacts({ limits = {}, template, volumeNodes = [] }: Limited, showEnv: boolean): (Fact | false)[] {
  const { env, secretEnv = {}, volumes = [], command = [], readiness, liveness, capabilities, placement, ...fields } =
    template;
  const names = Object.keys(env).join(", ");
  return [
    ...Object.entries(fields).filter(([name]) => !Object.hasOwn(limits, name)).map((
      [name, value],
    ): Fact => [name, String(value)]),
    ["readiness", readiness.path],
    liveness !== undefined && ["liveness", `${liveness.path} every ${liveness.every}`],
    ...Object.entries(capabilities ?? {}).map(([change, names]): Fact | false =>
      names.length > 0 && [`capabilities ${change}`, names.join(", ")]
    ),
    ...placementFacts(placement),
    command.length > 0 && ["command", command.map(valueText).join(" ")],
    !showEnv && names !== "" && ["env", names],
    ...Object.entries(showEnv ? env : {}).map(([name, value]): Fact => [`env ${name}`, valueText(value)]),
    ...Object.entries(secretEnv).map(([name, secret]): Fact => [`env ${name}`, `the secret ${secret}`]),
    ...volumes.map(({ source, path, readOnly }): Fact => {
      const node = volumeNodes.find((volume) => volume.source === source)?.node;
      const text = source + (readOnly ? ", read-only" : "") + (node === undefined ? "" : `, on the machine ${node}`);
      return [`volume ${path}`, text];
    }),
  ];
}

function placementFacts({ labels = {}, node, spread }: TemplateJson["placement"] = {}): (Fact | false)[] {
  const machines = [...(node === undefined ? [] : [node]), ...Object.entries(labels).map((label) => label.join("="))];
  return [
    machines.length > 0 && ["machines", machines.join(", ")],
    spread !== undefined && ["spread over", spread],
  ];
}

/** A revision with the limits that hold; an older server tells only those of the template. */
interface Limited {
  readonly template: TemplateJson;
  readonly limits?: Partial<RevisionJson["limits"]>;
  readonly volumeNodes?: RevisionJson["volumeNodes"];
}

/** The limits that hold, with where each comes from. */
function limitTable(limits: RevisionJson["limits"]): string {
  const rows = Object.entries(limits).map(([name, { value, from }]) => [name, limitText(name, value), from]);
  return table(["LIMIT", "VALUE", "FROM"], rows);
}

/** The limits of which 0 means that there is none; of the others, it means never. */
const AMOUNTS: ReadonlySet<string> = new Set(["concurrency", "memory", "cpus"]);

/** A limit as people write it: `never`, `no limit`, `256m`, `11.8 GiB`. */
export function limitText(name: string, value: string | number | readonly string[]): string {
  if (typeof value === "object") return value.join(", ") || "none";
  if (AMOUNTS.has(name) && Number(value) === 0) return "no limit";
  if (value === "0") return "never";
  // What is not given is computed from the machine's memory, and is no round number.
  return name === "memory" && /[bk]$/.test(String(value)) ? sizeText(parseMemory(String(value))) : String(value);
}

function valueText(value: string): string {
  return value === plainText(value) && /^\S+$/.test(value) ? value : JSON.stringify(value);
}

/** The last failure of a revision. In a list, it has no output. */
type FailureJson = NonNullable<RevisionSummaryJson["failure"]> & { readonly output?: readonly string[] };

type Failable = RevisionSummaryJson & { readonly failure?: FailureJson | undefined };

/** Why a revision fails, with the app's last lines below. */
function lastFailureText(revision: string, failure: FailureJson): string {
  const { output = [], reason, retryInS } = failure;
  const refused = retryInS === undefined ? "" : `; requests are refused for ${retryInS}s more`;
  const head = `${revision} failed ${failureCount(failure)}${refused}: ${plainText(reason)}`;
  return [head, ...output.map((line) => indented(plainText(line)))].join("\n");
}

/** How often and when a revision has failed: `4 times in a row, 10s ago`. */
function failureCount({ at, count }: FailureJson): string {
  return `${count === 1 ? "once" : `${count} times in a row`}, ${ago(at)}`;
}
