import type { RevisionJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { OperatorError } from "../base/errors.ts";
import { formatManifest } from "../control/manifest/manifest.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { type ParsedService, parseService } from "../control/schema/schema.ts";
import { resolveTraffic } from "../model/traffic.ts";
import { type Client, servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { clientVerb } from "./verb.ts";

/** What the admin API shows in place of a value that the token may not read. */
const MASK = "***";

/** `cless export`: prints services as a file for `cless apply`. */
export const exportServices = clientVerb({
  name: "export",
  summary: "Print services as a file that apply takes, all of them or some",
  args: ["[NAME…]"],
  flags: [flag("--traffic", "Write the whole split, also of revisions that another machine does not have")],
  notes: [
    "Each service is written with the template of its latest revision. The values of variables are part of it, so this needs a token that may deploy; those of secrets are not. Services that nobody has declared are left out unless they are named.",
    "A split among several revisions is left out, with a warning, and so are the tags of old revisions: another machine has only the latest revision, and gives it all requests. Applied on this machine, the file leaves the split as it is. --no-traffic leaves out the tag of the latest revision too, and warns of nothing.",
  ],
  example: ["cless export > services.yaml", "cless export web shop --traffic"],
  run: async (call) => {
    const { args, client } = call;
    const services = args.length === 0
      ? (await client.list<ServiceJson>("/v1/services")).filter(({ convention }) => convention !== true)
      : await Promise.all([...new Set(args)].map((name) => client.get<ServiceJson>(servicePath(name))));
    const manifest = new Map<string, ParsedService>();
    const warnings: string[] = [];
    for (const service of services) {
      const { name, traffic, latestRevision } = service;
      const declared = await declaredOf(client, service);
      const parts = resolveTraffic(traffic, latestRevision);
      const { tag, percent } = parts.find(({ revision }) => revision === latestRevision) ?? { percent: 0 };
      const exact = call.flags.get("traffic"); // undefined if neither --traffic nor --no-traffic is given
      const more = exact ? { targets: traffic } : exact === undefined && tag !== undefined ? { tag } : {};
      manifest.set(name, { ...declared, ...more });
      if (exact !== undefined || parts.every(({ revision }) => revision === latestRevision)) continue;
      const risk = percent > 0 ? "" : `, where ${latestRevision} gets no requests`;
      warnings.push(`the split of ${name} is left out${risk}: another machine has only the latest revision`);
    }
    console.log(formatManifest(manifest).trimEnd());
    warnings.forEach((warning) => console.error(`warning: ${warning}; --traffic writes it`));
  },
});

/** A service's declaration, without its traffic. */
async function declaredOf(client: Client, service: ServiceJson): Promise<ParsedService> {
  const { name, domains, latestRevision, revisionHistory, wake, loading, access, limits, maintenance } = service;
  const { template } = await client.get<RevisionJson>(servicePath(name, "revisions", latestRevision));
  const values = [...Object.values(template.env), ...template.command ?? []];
  if (values.length > 0 && values.every((value) => value === MASK)) throw mayNotRead("variables and the command", name);
  if (Object.values(access?.basic ?? {}).includes(MASK)) throw mayNotRead("hashes of passwords", name);
  try {
    return parseService(name, {
      ...template,
      ...(domains.length > 0 && { domains }),
      ...(revisionHistory !== undefined && { revisionHistory }),
      ...(wake !== undefined && wake.except.userAgents.length + wake.except.paths.length > 0 && { wake }),
      ...(loading === "page" && { loading }),
      ...(access !== undefined && { access }),
      ...(limits !== undefined && { limits }),
      ...(maintenance !== undefined && { maintenance }),
    });
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    throw new OperatorError(`cannot read ${name}, perhaps because that cless is a newer one: ${error.message}`);
  }
}

function mayNotRead(what: string, name: string): OperatorError {
  return new OperatorError(`this token may not read the ${what} of ${name}; export needs one of scope deploy`);
}
