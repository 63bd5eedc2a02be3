import type { InstanceJson } from "../admin/operations/instances.ts";
import type { RevisionJson, RevisionSummaryJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import type { TemplateJson } from "../control/schema/schema.ts";
import { type Client, servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { type FailureJson, failureText, instanceTable, revisionTable, stateText } from "./lists.ts";
import { ago, indented, pairs, plainText } from "./text.ts";
import { trafficTable } from "./traffic.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

type Fact = [name: string, value: string];
type Failable = RevisionSummaryJson & { readonly failure?: FailureJson | undefined };

/** `cless describe`: shows everything about a service. */
export const describe = clientVerb({
  name: "describe",
  summary: "Show everything about a service",
  args: ["NAME"],
  flags: [flag("--show-env", "Show the values of its variables, not only their names"), JSON_FLAG],
  example: ["cless describe web"],
  run: async (call) => {
    const { client } = call;
    const path = servicePath(call.args[0]!);
    const service = await client.get<ServiceJson>(path);
    const [revisions, latest, instances] = await Promise.all([
      client.list<RevisionSummaryJson>(`${path}/revisions`).then((all) => withOutput(client, service.name, all)),
      client.get<RevisionJson>(servicePath(service.name, "revisions", service.latestRevision)),
      client.list<InstanceJson>("/v1/instances"),
    ]);
    const own = instances.filter((instance) => instance.service === service.name);
    const showEnv = call.on("show-env");
    if (call.on("json")) {
      const { env, ...template } = latest.template;
      const shown = showEnv ? latest.template : { ...template, envNames: Object.keys(env) };
      return printJson({ ...service, revisions, template: shown, instances: own });
    }
    const failures = revisions.flatMap(({ name, failure }) => failure ? [failureText(name, failure)] : []);
    const section = (title: string, text: string) => `${title}\n${indented(text)}`;
    console.log([
      pairs(serviceFacts(service)),
      section("Traffic", trafficTable(service)),
      section(`Template of ${service.latestRevision}`, pairs(templateFacts(latest.template, showEnv))),
      section("Revisions", revisionTable(revisions)),
      ...(failures.length === 0 ? [] : [section("Failures", failures.join("\n"))]),
      section("Instances", own.length === 0 ? noneText(revisions) : instanceTable(own)),
    ].join("\n\n"));
  },
});

/** The revisions, failed ones with their output, which a list leaves out. */
function withOutput(client: Client, service: string, revisions: readonly RevisionSummaryJson[]) {
  return Promise.all(revisions.map(async (revision): Promise<Failable> => {
    if (revision.failure === undefined) return revision;
    const { failure } = await client.get<RevisionJson>(servicePath(service, "revisions", revision.name));
    return failure === undefined ? revision : { ...revision, failure };
  }));
}

function noneText(revisions: readonly RevisionSummaryJson[]): string {
  const served = revisions.filter(({ percent }) => percent > 0);
  const isRefused = served.length > 0 && served.every(({ failure }) => failure?.retryInS !== undefined);
  return isRefused ? "none; the first request after that time starts one" : "none; the next request starts one";
}

function serviceFacts(service: ServiceJson): (Fact | false)[] {
  const { name, url, domains, createdAt, updatedAt, declaredBy, convention, revisionHistory, loading, wake } = service;
  const { userAgents = [], paths = [] } = wake?.except ?? {};
  return [
    ["Name", name],
    ["State", stateText(service)],
    ["URL", url],
    ["Domains", domains.join(", ") || "none"],
    userAgents.length > 0 && ["Not woken by", userAgents.map(valueText).join(", ")],
    paths.length > 0 && ["Not woken at", paths.map(valueText).join(", ")],
    loading === "page" && ["Loading", "a page, while it starts"],
    ["Made", convention ? "by convention, from the image of its name" : ago(createdAt)],
    convention !== true && ["Changed", ago(updatedAt)],
    ["Declared by", declaredBy ?? "no file"],
    revisionHistory !== undefined && ["Keeps", `${revisionHistory} old revisions`],
  ];
}

function templateFacts(template: TemplateJson, showEnv: boolean): (Fact | false)[] {
  const { env, secretEnv = {}, volumes = [], command = [], readiness, liveness, ...fields } = template;
  const names = Object.keys(env).join(", ");
  return [
    ...Object.entries(fields).map(([name, value]): Fact => [name, String(value)]),
    ["readiness", readiness.path],
    liveness !== undefined && ["liveness", `${liveness.path} every ${liveness.every}`],
    command.length > 0 && ["command", command.map(valueText).join(" ")],
    !showEnv && names !== "" && ["env", names],
    ...Object.entries(showEnv ? env : {}).map(([name, value]): Fact => [`env ${name}`, valueText(value)]),
    ...Object.entries(secretEnv).map(([name, secret]): Fact => [`env ${name}`, `the secret ${secret}`]),
    ...volumes.map(({ source, path, readOnly }): Fact => [`volume ${path}`, source + (readOnly ? ", read-only" : "")]),
  ];
}

function valueText(value: string): string {
  return value === plainText(value) && /^\S+$/.test(value) ? value : JSON.stringify(value);
}
