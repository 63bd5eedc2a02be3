import { Document, visit } from "yaml";
import { canonicalTemplate } from "../../model/template.ts";
import { YamlTree } from "./yaml_tree.ts";
import {
  type Fault,
  type FieldPath,
  InvalidError,
  ManifestError,
  MAX_FAULTS,
  refuseFaults,
  SERVICE_NAME_RULE,
  showPath,
  unknownField,
} from "../schema/invalid.ts";
import { isServiceName } from "../../model/service.ts";
import { type ParsedService, parseService, showServiceFields, showTemplate } from "../schema/schema.ts";

/** The services of a file by name, in the order of the file. */
export interface Manifest extends ReadonlyMap<string, ParsedService> {
  /** Where a service is declared, `FILE:LINE:COLUMN`; missing if the services are not from a file. */
  readonly placeOf?: (name: string) => string;
}

/**
 * Reads a YAML file of services. Below `services:` it has each service by name, with the fields of `PUT
 * /v1/services/{name}`.
 *
 * @param file The name of the file in messages.
 * @throws {ManifestError} With the faults of all services. If the text is not YAML, it has only the first fault, since
 * what follows would be misread.
 */
export function parseManifest(text: string, file: string): Manifest {
  const tree = new YamlTree(text, file);
  try {
    return Object.assign(readServices(tree.value), {
      placeOf(name: string): string {
        const { line, column } = tree.placeOf(["services", name], true);
        return `${file}:${line}:${column}`;
      },
    });
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    const { faults } = error;
    const told = faults.slice(0, MAX_FAULTS).map(({ path, reason, ofName }) => ({
      place: tree.placeOf(path, ofName),
      message: path.length === 0 ? reason : `${showPath(path)}: ${reason}`,
    }));
    throw new ManifestError(file, told, faults.length - told.length);
  }
}

function readServices(value: unknown): Map<string, ParsedService> {
  const file = mapping(value ?? {}, [], "the file must have services: and below it their names");
  const { services = {}, ...others } = file;
  const faults: Fault[] = Object.keys(others).map((key) => (
    { path: [key], reason: unknownField(key, ["services"]), ofName: true }
  ));
  const all = readPart(
    faults,
    ["services"],
    () => mapping(services ?? {}, [], "must have the services below it, by their names"),
  ) ?? {};
  const read = new Map<string, ParsedService>();
  const owners = new Map<string, string>();
  for (const [name, body] of Object.entries(all)) {
    const path = ["services", name];
    const service = readPart(faults, path, () => readService(name, body));
    if (service === undefined) continue;
    service.service.domains?.forEach((domain, at) => {
      const owner = owners.get(domain);
      if (owner === undefined) owners.set(domain, name);
      else faults.push({ path: [...path, "domains", at], reason: `belongs to the service ${owner}`, ofName: false });
    });
    read.set(name, service);
  }
  refuseFaults(faults);
  return read;
}

function readService(name: string, value: unknown): ParsedService {
  if (!isServiceName(name)) throw new InvalidError([], SERVICE_NAME_RULE, true);
  const body = mapping(value, [], "must have fields, at least image");
  if (!Object.hasOwn(body, "<<")) return parseService(name, body);
  throw new InvalidError(["<<"], "merging is not supported; use *NAME for a whole value", true);
}

/** Reads the part at a path. Adds its faults to `faults`; with any, the result is `undefined`. */
function readPart<T>(faults: Fault[], path: FieldPath, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    for (const fault of error.faults) faults.push({ ...fault, path: [...path, ...fault.path] });
    return undefined;
  }
}

function mapping(value: unknown, path: FieldPath, message: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidError(path, message);
  return value as Readonly<Record<string, unknown>>;
}

/** Formats services as YAML that {@linkcode parseManifest} reads. Leaves out defaults. */
export function formatManifest(services: Manifest): string {
  const bodies = [...services].map(([name, declared]) => [name, showService(declared)]);
  const document = new Document({ services: Object.fromEntries(bodies) }, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === "string" && !isPlainText(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Infinity }); // no line is folded
}

/**
 * Whether the library writes a text correctly as a YAML block. It fails for some texts with white space at the ends of
 * lines.
 */
function isPlainText(text: string): boolean {
  return !text.includes("\n") || !/^\s|[^\S\n](?:\n|$)|\n\n$|\r/.test(text);
}

function showService({ template, service, traffic, targets, tag }: ParsedService): Record<string, unknown> {
  const shown = showTemplate(canonicalTemplate(template));
  const defaults: Record<string, unknown> = showTemplate(canonicalTemplate({ image: "" }));
  const said = Object.entries(shown).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(defaults[key]));
  return { ...Object.fromEntries(said), ...showServiceFields(service), traffic: targets ?? traffic, tag };
}
