import { z } from "zod";
import { allows } from "../../control/access/tokens.ts";
import { type HoldingLimit, LIMIT_NAMES } from "../../control/revision_limits.ts";
import { showTemplate, type TemplateJson, templateSchema } from "../../control/schema/schema.ts";
import type { FailureView, RevisionView } from "../../control/catalog.ts";
import { ClessError } from "../../base/errors.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { IF_MATCH, MASK, revisionParam, serviceParam, shown, time, timeOf } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { changeOptions, serviceOf } from "./services.ts";

const operation = tagged("revisions");
const params = { name: serviceParam, revision: revisionParam };

const { env: _, ...fieldsWithoutEnv } = templateSchema.shape;

const failureFields = {
  reason: z.string().meta({ description: "Why it did not start, or ended soon after it was ready" }),
  at: time,
  count: z.int().min(1).meta({ description: "How many failures there have been in a row" }),
  retryInS: z.int().min(1).optional().meta({
    description: "For how many seconds requests are refused with `crash_loop`; missing if they are not",
  }),
};

const FAILURE = "Its last failure, until an instance has been ready for a minute; missing if it works";

const failureSummary = z.strictObject(failureFields).meta({ id: "LastFailureSummary", description: FAILURE });

const failureSchema = z.strictObject({
  ...failureFields,
  output: z.array(z.string()).meta({ description: "The last lines that the app wrote" }),
}).meta({
  id: "LastFailure",
  description: FAILURE,
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
  imageId: z.string().meta({ description: "The id of the image's content" }),
  imageDigest: z.string().optional().meta({ description: "The digest by which the image can be pulled again" }),
  createdAt: time,
  percent: z.int().min(0).max(100).meta({ description: "Its share of the traffic" }),
  tag: z.string().optional().meta({ description: "It has an address of its own, TAG--SERVICE" }),
  isolated: z.boolean().meta({
    description: "Whether its containers get the defaults of capabilities, memory and processors; false if it was " +
      "made before cless had them",
  }),
  latest: z.boolean().meta({ description: "Whether `latest` stands for it" }),
};

const revisionSummary = z.strictObject({
  ...revisionFields,
  template: z.strictObject({ ...fieldsWithoutEnv, envNames: z.array(z.string()) }).meta({
    description:
      'The template, with only the names of the variables; for tokens that may not deploy, each word of command is "***"',
  }),
  failure: failureSummary.optional(),
}).meta({ id: "RevisionSummary" });

/** A revision in JSON, as a list shows it. */
export type RevisionSummaryJson = z.output<typeof revisionSummary>;

const limitSchema = z.strictObject({
  value: z.union([z.string(), z.number(), z.array(z.string())]).meta({
    description: "As in a template; 0 is never for a time, and no limit for concurrency, memory and cpus",
  }),
  from: z.string().meta({
    description: "`service` if the template names it, `default`, or the flag or variable of the program",
    examples: ["--pause-after"],
  }),
}).meta({ id: "HoldingLimit" });

const limitsSchema = z.strictObject(
  Object.fromEntries(LIMIT_NAMES.map((name) => [name, limitSchema])) as Record<
    typeof LIMIT_NAMES[number],
    typeof limitSchema
  >,
).meta({ id: "HoldingLimits", description: "The limits that hold for its instances, each with where it comes from" });

const revisionSchema = z.strictObject({
  ...revisionFields,
  template: templateSchema.meta({
    id: "Template",
    description:
      'How a container is started; for tokens that may not deploy, each value of env and each word of command is "***"',
  }),
  limits: limitsSchema,
  warnings: z.array(z.string()).meta({
    description: "What may keep it from working, such as a volume that its user cannot write to; known once it has " +
      "started since cless was started",
  }),
  volumeNodes: z.array(z.strictObject({
    source: z.string().meta({ description: "The volume, as in the template" }),
    node: z.string().meta({ description: "The machine that has it, by its hostname" }),
  })).optional().meta({ description: "In a Swarm: on which machine each volume is, once it has been used" }),
  failure: failureSchema.optional(),
}).meta({ id: "Revision" });

/** A revision in JSON. */
export type RevisionJson = z.output<typeof revisionSchema>;

/** The operations on the revisions of a service. */
export function revisionOperations({ catalog, deployer, revisionLimits, volumeAccess, volumeNodes }: Collaborators) {
  const revisionsOf = (name: string): readonly RevisionView[] => {
    serviceOf(catalog, name);
    return catalog.revisions(name) ?? [];
  };
  return [
    operation({
      id: "listRevisions",
      route: "GET /v1/services/{name}/revisions",
      scope: "read",
      summary: "List the revisions of a service, newest first",
      params: { name: serviceParam },
      answers: { 200: { description: "All of them", schema: z.array(revisionSummary) } },
      errors: ["not_found"],
      run: ({ holder, params: { name } }) => {
        const masked = !allows(holder.scope, "deploy");
        return json(revisionsOf(name).map((revision) => summarize(revision, masked)));
      },
    }),
    operation({
      id: "showRevision",
      route: "GET /v1/services/{name}/revisions/{revision}",
      scope: "read",
      summary: "Show a revision with its template",
      params,
      answers: { 200: { description: "The revision", schema: revisionSchema } },
      errors: ["not_found"],
      run: async ({ holder, params: { name, revision } }) => {
        const found = revisionsOf(name).find((one) => one.name === revision);
        if (found === undefined) {
          throw new ClessError("not_found", `The service ${name} has no revision ${shown(revision)}`);
        }
        const view = show(found, !allows(holder.scope, "deploy"));
        const seen = await volumeNodes?.seen(name, found.template.volumes);
        const problems = seen?.flatMap(({ problem }) => problem ?? []) ?? [];
        const warnings = [...problems, ...await volumeAccess.problemsOf(revision)];
        const placed = seen?.map(({ node, source }) => ({ source, node }));
        return json({ ...view, limits: showLimits(revisionLimits.of(found)), warnings, volumeNodes: placed });
      },
    }),
    operation({
      id: "deleteRevision",
      route: "DELETE /v1/services/{name}/revisions/{revision}",
      scope: "deploy",
      summary: "Remove a revision that has no traffic and no tag, and is not the latest",
      params,
      headers: IF_MATCH,
      answers: { 204: { description: "It is gone" } },
      errors: ["not_found", "conflict", "stale", "store_unavailable"],
      run: async (call) => {
        const { name, revision } = call.params;
        await deployer.deleteRevision(name, revision, changeOptions(catalog, call));
      },
    }),
  ];
}

/** A revision without the values of its variables. @param masked Whether to hide the words of its command too. */
function summarize(revision: RevisionView, masked: boolean): z.input<typeof revisionSummary> {
  const { env, ...template } = shownTemplate(revision, masked);
  return {
    ...showFields(revision),
    template: { ...template, envNames: Object.keys(env) },
    failure: revision.failure && showFailure(revision.failure),
  };
}

/** @param masked Whether to hide the values of its variables, and the words of its command. */
function show(
  revision: RevisionView,
  masked: boolean,
): Omit<z.input<typeof revisionSchema>, "limits" | "volumeNodes" | "warnings"> {
  const { failure } = revision;
  return {
    ...showFields(revision),
    template: shownTemplate(revision, masked),
    failure: failure && { ...showFailure(failure), output: [...failure.output] },
  };
}

function showLimits(limits: Readonly<Record<typeof LIMIT_NAMES[number], HoldingLimit>>): z.input<typeof limitsSchema> {
  const shown = Object.entries(limits).map(([name, { value, from }]) =>
    [name, { value: typeof value === "object" ? [...value] : value, from }] as const
  );
  return Object.fromEntries(shown) as z.input<typeof limitsSchema>;
}

/** @param masked Whether values that may be secret are hidden: those of variables, and the words of the command. */
function shownTemplate({ template }: RevisionView, masked: boolean): TemplateJson {
  const shown = showTemplate(template);
  if (!masked) return shown;
  const { command = [], env } = shown;
  return {
    ...shown,
    command: command.map(() => MASK),
    env: Object.fromEntries(Object.keys(env).map((name) => [name, MASK])),
  };
}

function showFields(revision: RevisionView) {
  const { imageDigest, tag, template, createdAt, name, service, imageId, percent, older, latest } = revision;
  const { image } = template;
  return {
    name,
    service,
    image,
    imageId,
    imageDigest,
    createdAt: timeOf(createdAt),
    percent,
    tag,
    isolated: !older,
    latest,
  };
}

function showFailure({ reason, at, count, retryInMs }: FailureView) {
  return { reason, at: timeOf(at), count, retryInS: Math.ceil(retryInMs / 1000) || undefined };
}
