import type { ParsedService } from "../control/schema.ts";
import { formatManifest } from "../control/manifest.ts";
import { InvalidError, parseService } from "../control/schema.ts";
import { OperatorError } from "../errors.ts";
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
  flags: [],
  notes: [
    "The values of variables are part of it, so it needs a token that may deploy; those of secrets are not. Services that are there by convention alone are left out unless they are named.",
    "The traffic is written as it is. On another machine there are no old revisions: take it out there where it names some.",
  ],
  example: ["cless export > services.yaml", "cless export web shop"],
  run: async (call) => {
    const { args, client } = call;
    const services = args.length === 0
      ? (await client.list<ServiceJson>("/v1/services")).filter(({ convention }) => convention !== true)
      : await Promise.all([...new Set(args)].map((name) => client.get<ServiceJson>(servicePath(name))));
    const manifest = new Map<string, ParsedService>();
    for (const service of services) manifest.set(service.name, await declared(client, service));
    console.log(formatManifest(manifest).trimEnd());
  },
});

async function declared(client: Client, service: ServiceJson): Promise<ParsedService> {
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
    return { ...parseService(name, { ...template, ...fields }), targets: traffic };
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    throw new OperatorError(`what is told of ${name} cannot be read, cless there may be a newer one: ${error.message}`);
  }
}
