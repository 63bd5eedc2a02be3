import { z } from "zod";
import { showTemplate, targetsSchema, templateSchema } from "../control/schema/schema.ts";
import type { TrafficTarget } from "../model/traffic.ts";
import type { FailureView, RevisionView, ServiceStatus, ServiceView } from "../control/catalog.ts";
import type { WakeSettings } from "../model/waking.ts";

/** A moment, as JSON has it. */
export const time = z.iso.datetime().meta({ examples: ["2026-11-25T10:00:00.000Z"] });

/** All parts of a service's traffic. */
export const trafficSchema = targetsSchema.meta({ id: "Traffic" });

const wakeSchema = z.strictObject({
  except: z.strictObject({ userAgents: z.array(z.string()), paths: z.array(z.string()) }),
});

/** A service as it is shown. */
export const serviceView = z.strictObject({
  name: z.string(),
  url: z.string().meta({ description: "Where a browser finds it" }),
  state: z.enum(["ready", "starting", "paused", "asleep", "failing"]).meta({
    description: "What its instances are doing; failing if its last start failed and no instance could answer",
  }),
  failure: z.string().optional().meta({ description: "Why it is failing; only there if it is" }),
  domains: z.array(z.string()).meta({ description: "Hostnames that lead to it besides its own" }),
  latestRevision: z.string().meta({ description: "What `latest` stands for" }),
  traffic: trafficSchema,
  etag: z.string().optional().meta({ description: "Changes with every change; missing where nobody has declared it" }),
  revisionHistory: z.int().optional().meta({ description: "How many revisions without traffic or tag are kept" }),
  wake: wakeSchema.optional().meta({ description: "Whose requests do not wake it" }),
  loading: z.enum(["hold", "page"]).optional().meta({ description: "What a browser gets while it starts" }),
  declaredBy: z.string().optional().meta({ description: "The file that declared it" }),
  convention: z.literal(true).optional().meta({
    description: "Nobody has declared it: its image was found by its name",
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
    traffic: [{ revision: "latest", percent: 100 }],
    etag: "3",
    revisionHistory: 20,
    wake: { except: { userAgents: ["UptimeRobot"], paths: [] } },
    loading: "page",
    createdAt: "2026-11-25T10:00:00.000Z",
    updatedAt: "2026-11-25T10:05:00.000Z",
  }],
});

/** Shows a service. */
export function showService(
  service: ServiceView,
  { state, failure }: ServiceStatus,
  urlOf: (service: string) => string,
): z.input<typeof serviceView> {
  const { convention, declaredBy, generation, loading, name, revisionHistory, wake } = service;
  return {
    name,
    url: urlOf(name),
    state,
    ...(failure === undefined ? {} : { failure }),
    domains: [...service.domains],
    latestRevision: service.latestRevision,
    traffic: service.traffic.map(showTarget),
    ...(generation === undefined ? {} : { etag: String(generation) }),
    ...(revisionHistory === undefined ? {} : { revisionHistory }),
    ...(wake === undefined ? {} : { wake: showWake(wake) }),
    ...(loading === undefined ? {} : { loading }),
    ...(declaredBy === undefined ? {} : { declaredBy }),
    ...(convention ? { convention: true as const } : {}),
    createdAt: timeOf(service.createdAt),
    updatedAt: timeOf(service.updatedAt),
  };
}

function showWake({ except: { userAgents, paths } }: WakeSettings): z.input<typeof wakeSchema> {
  return { except: { userAgents: [...userAgents], paths: [...paths] } };
}

/** Shows a part of a service's traffic. */
export function showTarget({ revision, percent, tag }: z.input<typeof trafficSchema>[number]): TrafficTarget {
  return { revision, percent, ...(tag === undefined ? {} : { tag }) };
}

/** A time as JSON has it. @param ms Since 1970. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

const { env: _, ...fieldsWithoutEnv } = templateSchema.shape;

const failureFields = {
  reason: z.string().meta({ description: "Why it did not start, or ended soon after it was ready" }),
  at: time,
  count: z.int().min(1).meta({ description: "How many failures there have been in a row" }),
  retryInS: z.int().min(1).optional().meta({
    description: "For how many seconds requests are refused with `crash_loop`; missing where they are not",
  }),
};

/** The last failure of a revision as a list shows it. */
const failureSummary = z.strictObject(failureFields).meta({
  id: "LastFailureSummary",
  description: "Its last failure, until an instance has been ready for a minute; missing where it works",
});

/** The last failure of a revision that is shown alone. */
const failureView = z.strictObject({
  ...failureFields,
  output: z.array(z.string()).meta({ description: "The last lines that the app wrote" }),
}).meta({
  id: "LastFailure",
  description: "Its last failure, until an instance has been ready for a minute; missing where it works",
  examples: [{
    reason: "the container ended with code 1 before it was ready",
    output: ["panic: no DATABASE_URL"],
    at: "2026-11-25T10:00:00.000Z",
    count: 4,
    retryInS: 2,
  }],
});

const revisionFields = {
  name: z.string(),
  service: z.string(),
  image: z.string(),
  imageId: z.string().meta({ description: "The image's content" }),
  imageDigest: z.string().optional().meta({ description: "By which the image can be pulled again" }),
  createdAt: time,
  percent: z.int().min(0).max(100).meta({ description: "Its share of the traffic" }),
  tag: z.string().optional().meta({ description: "It has an address of its own, TAG--SERVICE" }),
  latest: z.boolean().meta({ description: "Whether `latest` stands for it" }),
};

/** A revision as a list shows it. */
export const revisionSummary = z.strictObject({
  ...revisionFields,
  template: z.strictObject({ ...fieldsWithoutEnv, envNames: z.array(z.string()) }).meta({
    description: "The template, with the names of the variables only",
  }),
  failure: failureSummary.optional(),
}).meta({ id: "RevisionSummary" });

/** A revision as it is shown alone. */
export const revisionView = z.strictObject({
  ...revisionFields,
  template: templateSchema.meta({
    id: "Template",
    description: 'How a container is started; for tokens that may not deploy, each value of env is "***"',
  }),
  failure: failureView.optional(),
}).meta({ id: "Revision" });

/** Shows a revision without the values of its variables. */
export function summarizeRevision(revision: RevisionView): z.input<typeof revisionSummary> {
  const { env, ...template } = showTemplate(revision.template);
  return {
    ...showRevisionFields(revision),
    template: { ...template, envNames: Object.keys(env) },
    ...(revision.failure === undefined ? {} : { failure: showFailureFields(revision.failure) }),
  };
}

/** Shows a revision. @param masked Whether the values of its variables must not be seen. */
export function showRevision(revision: RevisionView, masked: boolean): z.input<typeof revisionView> {
  const { env, ...template } = showTemplate(revision.template);
  const values = masked ? Object.fromEntries(Object.keys(env).map((name) => [name, "***"])) : env;
  const { failure } = revision;
  return {
    ...showRevisionFields(revision),
    template: { ...template, env: values },
    ...(failure === undefined ? {} : { failure: { ...showFailureFields(failure), output: [...failure.output] } }),
  };
}

function showFailureFields({ reason, at, count, retryInMs }: FailureView) {
  const retryInS = Math.ceil(retryInMs / 1000);
  return { reason, at: timeOf(at), count, ...(retryInS === 0 ? {} : { retryInS }) };
}

function showRevisionFields({ imageDigest, tag, template, createdAt, ...rest }: RevisionView) {
  const { name, service, imageId, percent, latest } = rest;
  return {
    ...{ name, service, image: template.image, imageId },
    ...(imageDigest === undefined ? {} : { imageDigest }),
    createdAt: timeOf(createdAt),
    percent,
    ...(tag === undefined ? {} : { tag }),
    latest,
  };
}
