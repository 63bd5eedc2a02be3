import type { ParsedService } from "../control/schema/schema.ts";
import { formatManifest } from "../control/manifest/manifest.ts";
import { parseService } from "../control/schema/schema.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { OperatorError } from "../base/errors.ts";
import type { RevisionJson, ServiceJson } from "./api_types.ts";
import { type Client, servicePath } from "./client.ts";
import { clientVerb } from "./verb.ts";

/** In place of a value that the token may not read. */
const MASK = "***";

/** `cless export`: prints services as a file that `cless apply` takes. */
export const exportServices = clientVerb({
  name: "export",
  group: "Keep",
  summary: "Print services as a file that apply takes, all of them or some",
  args: ["[NAME…]"],
  flags: [
    {
      name: "traffic",
      default: "on",
      help: "Write how the traffic is split; --no-traffic for a machine without the old revisions",
    },
  ],
  notes: [
    "The values of variables are part of it, so it needs a token that may deploy; those of secrets are not. Services that are there by convention alone are left out unless they are named.",
    "The traffic is written as it is, with the names of revisions. Another machine has none of them: --no-traffic leaves it out, and there everything goes to the latest revision.",
  ],
  example: ["cless export > services.yaml", "cless export web shop --no-traffic"],
  run: async (call) => {
    const { args, client } = call;
    const services = args.length === 0
      ? (await client.list<ServiceJson>("/v1/services")).filter(({ convention }) => convention !== true)
      : await Promise.all([...new Set(args)].map((name) => client.get<ServiceJson>(servicePath(name))));
    const manifest = new Map<string, ParsedService>();
    const withTraffic = call.switched("traffic") !== false;
    for (const service of services) manifest.set(service.name, await declared(client, service, withTraffic));
    console.log(formatManifest(manifest).trimEnd());
  },
});

async function declared(client: Client, service: ServiceJson, withTraffic: boolean): Promise<ParsedService> {
  const { name, domains, latestRevision, revisionHistory, traffic, wake, loading } = service;
  const { template } = await client.get<RevisionJson>(servicePath(name, "revisions", latestRevision));
  const values = Object.values(template.env);
  if (values.length > 0 && values.every((value) => value === MASK)) {
    throw new OperatorError(`this token may not read the variables of ${name}; export needs one of scope deploy`);
  }
  try {
    const fields = {
      ...(domains.length > 0 && { domains }),
      ...(revisionHistory !== undefined && { revisionHistory }),
      ...(wake !== undefined && wake.except.userAgents.length + wake.except.paths.length > 0 && { wake }),
      ...(loading === "page" && { loading }),
    };
    const parsed = parseService(name, { ...template, ...fields });
    return withTraffic ? { ...parsed, targets: traffic } : parsed;
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    throw new OperatorError(`what is told of ${name} cannot be read, cless there may be a newer one: ${error.message}`);
  }
}
