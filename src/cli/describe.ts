import type { TemplateJson } from "../control/schema/schema.ts";
import type { InstanceJson, ListedRevisionJson, RevisionJson, ServiceJson } from "./api_types.ts";
import { type Client, servicePath } from "./client.ts";
import { instanceTable } from "./instances.ts";
import { ago } from "./output/ago.ts";
import { failureText } from "./output/failure_text.ts";
import { indented, pairs, plainText } from "./output/table.ts";
import { trafficTable } from "./output/traffic_table.ts";
import { revisionTable } from "./revisions.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

/** `cless describe`: shows all there is of a service. */
export const describe = clientVerb({
  name: "describe",
  group: "Look",
  summary: "Show all there is of a service",
  args: ["NAME"],
  flags: [{ name: "show-env", help: "Show the values of its variables, and not the names alone" }, JSON_FLAG],
  example: ["cless describe web"],
  run: async (call) => {
    const { client } = call;
    const path = servicePath(call.args[0]!);
    const service = await client.get<ServiceJson>(path);
    const [revisions, latest, instances] = await Promise.all([
      client.list<ListedRevisionJson>(`${path}/revisions`).then((all) => withOutput(client, service.name, all)),
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
    const now = Date.now();
    console.log([
      pairs(serviceFacts(service, now)),
      section("Traffic", trafficTable(service)),
      section(`Template of ${service.latestRevision}`, pairs(templateFacts(latest.template, showEnv))),
      section("Revisions", revisionTable(revisions, now)),
      ...failureSections(revisions, now),
      section("Instances", own.length === 0 ? noneText(revisions) : instanceTable(own, now)),
    ].join("\n\n"));
  },
});

/** The revisions with what the apps wrote of those that have failed: a list leaves that out. */
async function withOutput(
  client: Client,
  service: string,
  revisions: readonly ListedRevisionJson[],
): Promise<ListedRevisionJson[]> {
  return await Promise.all(revisions.map(async (revision) => {
    if (revision.failure === undefined) return revision;
    const { failure } = await client.get<RevisionJson>(servicePath(service, "revisions", revision.name));
    return failure === undefined ? revision : { ...revision, failure };
  }));
}

function failureSections(revisions: readonly ListedRevisionJson[], now: number): string[] {
  const texts = revisions.flatMap(({ name, failure }) =>
    failure === undefined ? [] : [failureText(name, failure, now)]
  );
  return texts.length === 0 ? [] : [section("Failures", texts.join("\n"))];
}

function noneText(revisions: readonly ListedRevisionJson[]): string {
  const served = revisions.filter(({ percent }) => percent > 0);
  const isRefused = served.length > 0 && served.every(({ failure }) => failure?.retryInS !== undefined);
  return isRefused ? "none; the first request after that time starts one" : "none; the next request starts one";
}

function section(title: string, text: string): string {
  return `${title}\n${indented(text)}`;
}

function serviceFacts(service: ServiceJson, now: number): [string, string][] {
  const { name, url, domains, createdAt, updatedAt, declaredBy, convention, revisionHistory, loading } = service;
  return [
    ["Name", name],
    ["URL", url],
    ["Domains", domains.join(", ") || "none"],
    ...wakeFacts(service),
    ...(loading === "page" ? [["Loading", "a page, while it starts"] as [string, string]] : []),
    ["Made", convention ? "by convention, from the image of its name" : ago(createdAt, now)],
    ...(convention ? [] : [["Changed", ago(updatedAt, now)] as [string, string]]),
    ["Declared by", declaredBy ?? "no file"],
    ...(revisionHistory === undefined ? [] : [["Keeps", `${revisionHistory} old revisions`] as [string, string]]),
  ];
}

function wakeFacts({ wake }: ServiceJson): [string, string][] {
  const { userAgents = [], paths = [] } = wake?.except ?? {};
  return [
    ...(userAgents.length === 0 ? [] : [["Not woken by", userAgents.map(valueText).join(", ")] as [string, string]]),
    ...(paths.length === 0 ? [] : [["Not woken at", paths.map(valueText).join(", ")] as [string, string]]),
  ];
}

/** A template by the names of its fields; what is said by nobody is left out. */
function templateFacts(template: TemplateJson, showEnv: boolean): [string, string][] {
  const { env, secretEnv = {}, volumes = [], command = [], readiness, liveness, ...fields } = template;
  const names = Object.keys(env);
  const variables = showEnv
    ? Object.entries(env).map(([name, value]): [string, string] => [`env ${name}`, valueText(value)])
    : names.length === 0
    ? []
    : [["env", names.join(", ")] as [string, string]];
  return [
    ...Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]),
    ["readiness", readiness.path],
    ...(liveness === undefined ? [] : [["liveness", `${liveness.path} every ${liveness.every}`] as [string, string]]),
    ...(command.length === 0 ? [] : [["command", command.map(valueText).join(" ")] as [string, string]]),
    ...variables,
    ...Object.entries(secretEnv).map(([name, secret]): [string, string] => [`env ${name}`, `the secret ${secret}`]),
    ...volumes.map(({ source, path, readOnly }): [string, string] => [
      `volume ${path}`,
      `${source}${readOnly ? ", to read only" : ""}`,
    ]),
  ];
}

/** A text on one line. */
function valueText(value: string): string {
  return value === plainText(value) && /^\S+$/.test(value) ? value : JSON.stringify(value);
}
