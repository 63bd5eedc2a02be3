import { z } from "zod";
import { type AccessJson, showAccess, showLimits } from "../../control/schema/access.ts";
import * as accessField from "../../control/schema/access_fields.ts";
import { check } from "../../control/schema/check.ts";
import { checkTagLength, InvalidError } from "../../control/schema/invalid.ts";
import { parseService, retiredWarning, targetsSchema } from "../../control/schema/schema.ts";
import { allows, type Holder } from "../../control/access/tokens.ts";
import type { ServiceView } from "../../control/catalog.ts";
import { SERVICE_STATES } from "../../control/service_status.ts";
import type { Scope } from "../../control/records.ts";
import type { Cost } from "../../control/figures/costs.ts";
import type { ChangeOptions } from "../../deploy/deployer.ts";
import { defined } from "../../model/defined.ts";
import type { Traffic } from "../../model/traffic.ts";
import type { WakeSettings } from "../../model/service.ts";
import { beyondEngine, type Capabilities } from "../../model/isolation.ts";
import { ClessError } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { json, readJson } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import {
  etagOf,
  flag,
  IF_MATCH,
  MASK,
  readIfMatch,
  serviceParam,
  shown,
  time,
  timeOf,
  whole,
} from "../common_fields.ts";
import { type Call, tagged } from "../operation.ts";
import { showWaiting, waitingSchema } from "../waiting_view.ts";

const operation = tagged("services");
const trafficOperation = tagged("traffic");
const log = logger("admin");
const ETAG = { ETag: "The etag of the service" };
const CURSOR_RULE = "must be as the link to the next page has it";
const params = { name: serviceParam };

const trafficSchema = targetsSchema.meta({ id: "Traffic" });

const wakeSchema = z.strictObject({
  except: z.strictObject({ userAgents: z.array(z.string()), paths: z.array(z.string()) }),
});

const accessSchema = z.strictObject({
  ...accessField.access.shape,
  basic: z.record(z.string(), z.string()).optional(),
});

const count = z.number().min(0);

const costSchema = z.strictObject({
  since: time.meta({ description: "When its first instance started" }),
  memoryBytes: z.int().min(0).meta({ description: "What its instances use now, without caches" }),
  swapBytes: z.int().min(0).meta({ description: "How much of their memory is in the machine's swap" }),
  awakeBytes: z.int().min(0).meta({ description: "What one instance takes while it is awake; 0 if it is not known" }),
  cpuSeconds: count.meta({ description: "The processor time of all its instances since the first start" }),
  usedByteSeconds: count.meta({ description: "Its memory since the first start, multiplied by the time" }),
  savedByteSeconds: z.number().meta({
    description: "How much more one instance that is always awake would have used; negative if it would have used less",
  }),
}).meta({
  id: "Cost",
  description: "What it costs; missing if it has never started, and in the answers to changes",
});

const serviceSchema = z.strictObject({
  name: z.string(),
  url: z.string().meta({ description: "Where a browser finds it" }),
  state: z.enum(SERVICE_STATES).meta({
    description: "What its instances are doing; failing if its last start failed and no instance could answer; " +
      "deploying while a deploy of it is under way",
  }),
  failure: z.string().optional().meta({ description: "Why it is failing; only there if it is" }),
  failingSince: time.optional().meta({ description: "Since when nothing has worked; only there if it is failing" }),
  waiting: waitingSchema.optional().meta({
    description: "What it waits for; only there if it is deploying or starting",
  }),
  domains: z.array(z.string()).meta({ description: "Hostnames that lead to it besides its own" }),
  latestRevision: z.string().meta({ description: "What `latest` stands for" }),
  traffic: trafficSchema,
  previousTraffic: trafficSchema.optional().meta({
    description: "The split that a rollback goes back to; missing if there is none",
  }),
  tagUrls: z.record(z.string(), z.string()).optional().meta({
    description: "Where a browser finds the tagged revisions, by tag; missing without tags",
  }),
  etag: z.string().optional().meta({
    description: "Changes with every change of the service; missing if it is not declared",
  }),
  revisionHistory: z.int().optional().meta({ description: "How many revisions without traffic or tag are retained" }),
  wake: wakeSchema.optional().meta({ description: "Which requests do not wake it" }),
  noRobots: z.string().optional().meta({
    description: "The flag or variable of the program by which no known robot wakes it, whatever `wake` says; " +
      "missing without one",
  }),
  loading: z.enum(["hold", "page"]).optional().meta({ description: "What a browser gets while it starts" }),
  access: accessSchema.optional().meta({
    description: "Who may use it; missing if everybody may. A token of scope read does not see the hashes of passwords",
  }),
  oidcCallbacks: z.array(z.string()).optional().meta({
    description: "The addresses that the provider of its sign-in must know (redirect URIs); missing without `oidc`",
  }),
  limits: accessField.limits.optional().meta({ description: "How much it accepts; missing without a limit" }),
  maintenance: z.string().optional().meta({ description: "What requests are told during maintenance" }),
  declaredBy: z.string().optional().meta({ description: "The file that declared it" }),
  cost: costSchema.optional(),
  imageChanged: z.literal(true).optional().meta({
    description:
      "The name of its latest revision's image means another image on this machine now: a deploy takes it. " +
      "Missing in lists, and if that is not so",
  }),
  convention: z.literal(true).optional().meta({
    description: "It is not declared: its image was found by the service's name",
  }),
  createdAt: time,
  updatedAt: time,
}).meta({
  id: "Service",
  examples: [{
    name: "shop",
    url: "http://shop.localhost:8080",
    state: "ready",
    domains: ["shop.example.org"],
    latestRevision: "shop-00002",
    traffic: [{ revision: "shop-00001", percent: 0, tag: "old" }, { revision: "latest", percent: 100 }],
    tagUrls: { old: "http://old--shop.localhost:8080" },
    etag: "3",
    revisionHistory: 20,
    wake: { except: { userAgents: ["UptimeRobot"], paths: [] } },
    loading: "page",
    cost: {
      since: "2026-11-25T10:00:03.000Z",
      memoryBytes: 25165824,
      swapBytes: 0,
      awakeBytes: 25165824,
      cpuSeconds: 1.25,
      usedByteSeconds: 1.5e11,
      savedByteSeconds: 2.1e12,
    },
    createdAt: "2026-11-25T10:00:00.000Z",
    updatedAt: "2026-11-25T10:05:00.000Z",
  }],
});

/** A service in JSON. */
export type ServiceJson = Omit<z.output<typeof serviceSchema>, "domains" | "traffic" | "previousTraffic" | "wake"> & {
  readonly domains: readonly string[];
  readonly traffic: Traffic;
  readonly previousTraffic?: Traffic | undefined;
  readonly wake?: WakeSettings | undefined;
};

const previewSchema = z.strictObject({
  change: z.enum(["create", "update", "none"]),
  revision: z.string().optional().meta({ description: "The name that a new revision would get" }),
  changed: z.array(z.string()).meta({ description: "The fields of the template that would change" }),
  settings: z.array(z.string()).meta({ description: "The fields of the service itself that would change" }),
  pull: z.boolean().meta({ description: "Whether the image would be pulled first" }),
  traffic: z.strictObject({ before: trafficSchema, after: trafficSchema }),
  domains: z.strictObject({ before: z.array(z.string()), after: z.array(z.string()) }),
  revisionHistory: z.strictObject({ before: z.int().optional(), after: z.int().optional() }),
  declaredBy: z.strictObject({ before: z.string().optional(), after: z.string().optional() }).meta({
    description: "The file that declares it; missing if none does",
  }),
}).meta({ id: "DeployPreview", description: "What a deploy would change" });

const listQuery = {
  limit: whole(1, 1000, { description: "How many at most; 100 by default" }).optional(),
  cursor: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, CURSOR_RULE).optional().meta({
    description: "Where to continue, from the link to the next page",
  }),
  q: z.string().max(100).optional().meta({ description: "Only those whose name contains this", examples: ["sh"] }),
  convention: z.enum(["true", "false"]).optional().meta({
    description: "Only those that are not declared (true), or only those that are (false)",
  }),
  declaredBy: z.string().max(4096).optional().meta({ description: "Only those that this file declared" }),
};

/** The operations on services. */
export function serviceOperations(parts: Collaborators) {
  const { catalog, deployer, meter } = parts;
  return [
    operation({
      id: "listServices",
      route: "GET /v1/services",
      scope: "read",
      summary: "List the services, by name",
      description: "Declared services, and services that were found by the name of their image and have been used.",
      query: listQuery,
      answers: {
        200: {
          description: "A page of services",
          schema: z.array(serviceSchema),
          headers: { Link: 'The next page, as <…>; rel="next"; missing on the last one' },
        },
      },
      run: async ({ holder, query, target }) => {
        const { limit = 100, cursor, q, convention, declaredBy } = query;
        const last = cursor === undefined ? "" : readCursor(cursor);
        const found = Iterator.from(catalog.after(last)).filter((service) =>
          (q === undefined || service.name.includes(q)) &&
          (convention === undefined || service.convention === (convention === "true")) &&
          (declaredBy === undefined || service.declaredBy === declaredBy)
        ).take(limit + 1).toArray();
        const page = found.slice(0, limit);
        const headers = found.length > limit ? { link: nextLink(target, cursorOf(page.at(-1)!.name)) } : {};
        const costs = await meter.costs(page.map(({ name }) => name));
        return json(page.map((service) => showService(parts, holder, service, { cost: costs.get(service.name) })), {
          headers,
        });
      },
    }),
    operation({
      id: "showService",
      route: "GET /v1/services/{name}",
      scope: "read",
      summary: "Show a service",
      params,
      answers: { 200: { description: "The service", schema: serviceSchema, headers: ETAG } },
      errors: ["not_found"],
      run: async ({ holder, params: { name } }) => {
        serviceOf(catalog, name); // refuses unknown ones at once; others may be deleted during the measurement
        const [costs, imageChanged] = await Promise.all([meter.costs([name]), isImageChanged(parts, name)]);
        const service = serviceOf(catalog, name);
        return answerService(parts, holder, service, 200, { cost: costs.get(name), imageChanged });
      },
    }),
    operation({
      id: "deployService",
      route: "PUT /v1/services/{name}",
      scope: "deploy",
      summary: "Create or change a service",
      description: "The body has the whole template of a revision, and fields of the service itself. The image is " +
        "found or pulled, and one instance of a new revision must become ready before the revision gets traffic. If " +
        "the template is that of the latest revision, there is no new one. Fields of the service that are missing stay " +
        "as they are. The deploy goes on when the client disconnects.",
      params,
      query: {
        wait: flag(true, "Whether a new revision must become ready first"),
        renew: flag(false, "Whether to make a new revision even if nothing has changed"),
        dryRun: flag(false, "Whether only to report what the deploy would change"),
        declaredBy: z.string().min(1).max(4096).optional().meta({ description: "The file that declares the service" }),
      },
      headers: IF_MATCH,
      body: {
        schema: { $ref: "#/components/schemas/ServiceBody" },
        example: { image: "ghcr.io/acme/shop:1.0", env: { GREETING: "hello" }, domains: ["shop.example.org"] },
      },
      answers: {
        200: {
          description: "The service as it is now; with `dryRun`, what the deploy would change",
          schema: z.union([serviceSchema, previewSchema]),
          headers: ETAG,
        },
        201: { description: "The service is new", schema: serviceSchema, headers: ETAG },
      },
      errors: ["conflict", "stale", "unsupported_type", "image_unavailable", "revision_failed", "store_unavailable"],
      run: async ({ request, holder, params: { name }, query: { wait, renew, dryRun, declaredBy } }) => {
        const input = parseService(name, await readJson(request));
        const warning = retiredWarning([input]);
        if (warning !== undefined) log.warning("request names retired fields", { service: name, reason: warning });
        checkCapabilities(holder, input.template.capabilities);
        const ifMatch = readIfMatch(request.headers, catalog.get(name));
        const options = defined({ by: holder.name, ifMatch, declaredBy, renew });
        if (dryRun) return json(await deployer.plan(name, input, options));
        const { service, isNewService } = await deployer.deploy(name, input, { ...options, wait });
        return answerService(parts, holder, { ...service, convention: false }, isNewService ? 201 : 200);
      },
    }),
    operation({
      id: "deleteService",
      route: "DELETE /v1/services/{name}",
      scope: "deploy",
      summary: "Remove a service with its revisions and instances",
      description:
        "If the service never worked, calls off its first deploy, or else removes what is kept of its deploys.",
      params,
      headers: IF_MATCH,
      answers: { 204: { description: "It is gone, and so are its containers" } },
      errors: ["not_found", "conflict", "stale", "store_unavailable"],
      run: async (call) => {
        const { name } = call.params;
        if (catalog.get(name) === undefined && await deployer.deleteTried(name)) return;
        await deployer.delete(name, changeOptions(catalog, call));
      },
    }),
  ];
}

/** The operations on a service's traffic split. */
export function trafficOperations(parts: Collaborators) {
  const { catalog, deployer } = parts;
  const description = "The service as it is now; with `dryRun`, as it would be";
  const answers = { 200: { description, schema: serviceSchema, headers: ETAG } };
  const query = { dryRun: flag(false, "Whether only to report what would change") };
  return [
    trafficOperation({
      id: "setTraffic",
      route: "PUT /v1/services/{name}/traffic",
      scope: "deploy",
      summary: "Replace the traffic split",
      description: "The body is the whole split. Its percents must sum to 100; tags that it does not name are removed.",
      params,
      query,
      headers: IF_MATCH,
      body: {
        schema: trafficSchema,
        example: [{ revision: "shop-00001", percent: 10 }, { revision: "latest", percent: 90 }],
      },
      answers,
      errors: ["not_found", "conflict", "stale", "unsupported_type", "store_unavailable"],
      run: async (call) => {
        const { name } = call.params;
        const options = { ...changeOptions(catalog, call), dryRun: call.query.dryRun };
        const targets = check(targetsSchema, await readJson(call.request), []);
        const traffic = targets.map(({ revision, percent, tag }) => defined({ revision, percent, tag }));
        traffic.forEach(({ tag }, at) => {
          if (tag !== undefined) checkTagLength(name, tag, [at, "tag"]);
        });
        const service = await deployer.setTraffic(name, traffic, options);
        return answerService(parts, call.holder, { ...service, convention: false });
      },
    }),
    trafficOperation({
      id: "rollback",
      route: "POST /v1/services/{name}/rollback",
      scope: "deploy",
      summary: "Go back to the split before the last change of traffic",
      description:
        "`latest` is replaced by the revision that it stood for, and tags stay. Done twice, all is as it was.",
      params,
      query,
      headers: IF_MATCH,
      answers,
      errors: ["not_found", "conflict", "stale", "store_unavailable"],
      run: async (call) => {
        const options = { ...changeOptions(catalog, call), dryRun: call.query.dryRun };
        const service = await deployer.rollback(call.params.name, options);
        return answerService(parts, call.holder, { ...service, convention: false });
      },
    }),
  ];
}

/**
 * Checks that a token may give an app these capabilities. Those that the engine does not give by default need the scope
 * `admin`: with some, an app can take over the machine. @throws {ClessError} `forbidden`
 */
function checkCapabilities({ name, scope }: Holder, capabilities: Capabilities = { add: [], drop: [] }): void {
  const beyond = beyondEngine(capabilities);
  if (beyond.length === 0 || allows(scope, "admin")) return;
  const message = `The token ${name} allows ${scope}, and to add the capabilities ${beyond.join(", ")} needs admin`;
  throw new ClessError("forbidden", message);
}

/** A service. @throws {ClessError} `not_found` */
export function serviceOf(catalog: Pick<Collaborators["catalog"], "get">, name: string): ServiceView {
  const service = catalog.get(name);
  if (service === undefined) throw new ClessError("not_found", `there is no service ${shown(name)}`);
  return service;
}

/**
 * The options of a change that a request asks for. Only declared services can be changed.
 *
 * @throws {ClessError} `not_found`, `conflict` @throws {InvalidError} @throws {StaleError} As {@linkcode readIfMatch}.
 */
export function changeOptions(
  catalog: Pick<Collaborators["catalog"], "get">,
  { request, holder, params: { name } }: Pick<Call<"{name}">, "request" | "holder" | "params">,
): ChangeOptions {
  const service = serviceOf(catalog, name);
  if (service.convention) {
    throw new ClessError("conflict", `Nobody has declared ${name}: it is there by its image's name; deploy it first`);
  }
  return defined({ by: holder.name, ifMatch: readIfMatch(request.headers, service) });
}

/** Whether the name of a declared service's latest image means another image now. */
async function isImageChanged({ catalog, imageNames }: Collaborators, name: string): Promise<boolean> {
  if (serviceOf(catalog, name).convention) return false; // a rebuilt image takes over by itself
  const latest = catalog.revisions(name)?.find((revision) => revision.latest);
  const imageId = latest && await imageNames.idOf(latest.template.image);
  return imageId !== undefined && imageId !== latest?.imageId;
}

/** What is shown of one service only when it is looked up. */
interface Found {
  readonly cost?: Cost | undefined;
  readonly imageChanged?: boolean;
}

function answerService(
  parts: Collaborators,
  holder: Holder,
  service: ServiceView,
  status = 200,
  found: Found = {},
): Response {
  const { generation } = service;
  const headers = generation === undefined ? {} : { etag: etagOf(generation) };
  return json(showService(parts, holder, service, found), { status, headers });
}

function showService(
  { catalog, hosts, noRobots, signInAddresses, waits }: Collaborators,
  { scope }: Holder,
  service: ServiceView,
  { cost, imageChanged = false }: Found = {},
): ServiceJson {
  const { convention, createdAt, generation, name, updatedAt } = service;
  const { domains, latestRevision, previousTraffic, traffic, revisionHistory, wake, loading, declaredBy } = service;
  const { access, limits, maintenance } = service;
  const { state, failure, failingSince } = catalog.status(name);
  const waiting = state === "deploying" || state === "starting" ? waits.of(name) : undefined;
  const tags = traffic.flatMap(({ tag }) => tag ?? []);
  return {
    ...{ name, url: hosts.urlOf(name), state, failure },
    failingSince: failingSince === undefined ? undefined : timeOf(failingSince),
    waiting: waiting && showWaiting(waiting),
    ...{ domains, latestRevision, traffic },
    previousTraffic: previousTraffic.length === 0 ? undefined : previousTraffic,
    tagUrls: tags.length === 0 ? undefined : Object.fromEntries(tags.map((tag) => [tag, hosts.urlOf(name, tag)])),
    etag: generation?.toString(),
    ...{ revisionHistory, wake, loading },
    noRobots,
    access: access && shownTo(scope, showAccess(access)),
    oidcCallbacks: access?.oidc && signInAddresses.callbacksOf(name, domains),
    limits: limits && showLimits(limits),
    maintenance: maintenance || undefined,
    declaredBy,
    cost: cost && { ...cost, since: timeOf(cost.since) },
    imageChanged: imageChanged || undefined,
    convention: convention || undefined,
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
  };
}

/** Who may use a service, as a token may see it: with hashes, passwords can be guessed at will. */
function shownTo(scope: Scope, access: AccessJson | undefined): AccessJson | undefined {
  if (access?.basic === undefined || allows(scope, "deploy")) return access;
  return { ...access, basic: Object.fromEntries(Object.keys(access.basic).map((user) => [user, MASK])) };
}

/** The link to the next page: the same request with another cursor. */
function nextLink({ path, query }: { readonly path: string; readonly query: string }, cursor: string): string {
  const parameters = new URLSearchParams(query);
  parameters.set("cursor", cursor);
  return `<${path}?${parameters}>; rel="next"`;
}

/** Makes a cursor from the last name of a page, so that pages stay correct when services are added or removed. */
function cursorOf(name: string): string {
  return new TextEncoder().encode(name).toBase64({ alphabet: "base64url", omitPadding: true });
}

function readCursor(cursor: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" }));
  } catch {
    throw new InvalidError(["cursor"], CURSOR_RULE);
  }
}
