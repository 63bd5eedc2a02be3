import { z } from "zod";
import { parseHostname } from "../../model/host.ts";
import { isServiceName } from "../../model/service.ts";
import { parseDuration } from "../../model/time.ts";
import { parseCapability } from "../../model/isolation.ts";
import { parseMemoryLimit } from "../../model/memory.ts";
import { strict } from "./check.ts";
import { CREDENTIAL_NAME, SECRET_NAME_RULE, SERVICE_NAME_RULE } from "./invalid.ts";

/** Linux's limit for one argument, or for one variable with its name, bytes. */
const MAX_ARGUMENT = 128 * 1024 - 1;
/** The limit for all of them together, bytes. Linux allows 2 MiB, including docker's own arguments and variables. */
const MAX_ARGUMENTS = 1024 * 1024;

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Makes a check that a parser accepts the text. The parser throws a RangeError if it does not. */
export function reads(parse: (text: string) => unknown): z.core.CheckFn<string> {
  return (context) => {
    try {
      parse(context.value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.issues.push({ code: "custom", message: error.message, input: context.value });
    }
  };
}

/** A duration as text; `0` means never. */
export const duration = z.string().check(reads(parseDuration)).meta({
  pattern: "^(0|[0-9]+(ms|s|m|h))$",
  description: "A length of time such as 250ms, 30s, 5m or 1h; 0 is never",
});

/** The time between two repetitions, as text; must not be 0. */
export const interval = z.string().check(reads(parseDuration)).refine((text) => text !== "0", "must be more than 0")
  .meta({
    pattern: "^[0-9]+(ms|s|m|h)$",
    description: "A length of time such as 250ms, 30s, 5m or 1h",
  });

/** A size of memory as text. */
export const memory = z.string().check(reads(parseMemoryLimit)).meta({
  pattern: "^[0-9]+[bkmgBKMG]?$",
  description: "A size of at least 6m, such as 64m or 1g, in powers of 1024",
});

/** A text without NUL, as the kernel takes it. */
const text = z.string().refine(
  (value) => !value.includes("\0") && value.isWellFormed(),
  "must be text without NUL characters and lone surrogates",
);

const ALNUM = "[a-zA-Z0-9]";
const DOMAIN = `(?:${ALNUM}(?:[a-zA-Z0-9-]*${ALNUM})?(?:\\.${ALNUM}(?:[a-zA-Z0-9-]*${ALNUM})?)*|\\[[a-fA-F0-9:]+\\])`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
/** An image id is not accepted as a name: another machine could not find the image by it. */
const NO_ID = "(?!sha256:[a-f0-9]{64}$|[a-f0-9]{64}(?:[:@]|$))";
/** https://pkg.go.dev/github.com/distribution/reference, restricted to sha256, the only digest that registries use. */
const IMAGE = new RegExp(
  `^${NO_ID}(?:${DOMAIN}(?::[0-9]+)?/)?${COMPONENT}(?:/${COMPONENT})*(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$`,
);
const IMAGE_MESSAGE =
  "is not a valid name of an image; expected NAME, NAME:TAG or HOST/NAME@sha256:…, with the name in lower case";

/** The name of an image. */
export const image = z.string().max(512, { abort: true }).regex(IMAGE, IMAGE_MESSAGE);

const variable = z.string().max(256).regex(
  /^[A-Za-z_][A-Za-z0-9_]*$/,
  "is not a valid name of a variable; expected letters, digits and _, and no digit first",
);

/** Limits the number of entries. */
function atMost(count: number, what: string) {
  return z.refine<Record<string, unknown>>(
    (all) => Object.keys(all).length <= count,
    `must be at most ${count} ${what}`,
  );
}

/** Environment variables with their values. */
export const env = z.record(variable, text).check(atMost(1000, "variables")).check((context) => {
  for (const [name, value] of Object.entries(context.value)) {
    if (bytesOf(`${name}=${value}`) > MAX_ARGUMENT) {
      const message = `must be at most ${MAX_ARGUMENT} bytes with its name, which is all that Linux allows`;
      context.issues.push({ code: "custom", message, input: value, path: [name] });
    }
  }
});

/** The name of a secret. */
export const secretName = z.string().regex(CREDENTIAL_NAME, SECRET_NAME_RULE);

/** Environment variables with the names of secrets. */
export const secretEnv = z.record(variable, secretName).check(atMost(1000, "variables"));

// deno-lint-ignore no-control-regex
const FIRST_WORD = /^[^\s\x00-\x1f\x7f-\x9f]+$/;

/**
 * A program and its arguments. If the image has an ENTRYPOINT, all of them are arguments, so the first may begin with a
 * hyphen.
 */
export const command = z.array(
  text.refine((word) => bytesOf(word) <= MAX_ARGUMENT, `must be at most ${MAX_ARGUMENT} bytes, which Linux allows`),
).max(1000).refine(([program]) => program === undefined || FIRST_WORD.test(program), {
  message: "must be the name of a program or an argument: not empty, without white space and control characters",
  path: [0],
});

/** Whether variables and command together are within {@linkcode MAX_ARGUMENTS}. */
export function fits(variables: Readonly<Record<string, string>>, words: readonly string[]): boolean {
  const all = [...Object.entries(variables).map(([name, value]) => `${name}=${value}`), ...words];
  return all.reduce((sum, one) => sum + bytesOf(one) + 1, 0) <= MAX_ARGUMENTS;
}

/** The message if {@linkcode fits} is false. */
export const FITS_MESSAGE = "is too much: the values and the command must be at most 1 MiB together";

// Absolute, without empty parts, `.`, `..` and a final slash, so that each folder has only one valid path.
// deno-lint-ignore no-control-regex
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\x00-\x1f\x7f]+)+$/;
const PATH_RULE = "an absolute path without `//`, `.`, `..`, and a slash at the end";
// The engine's rule. It requires at least two characters.
const VOLUME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

const CAPABILITY = "(CAP_)?[A-Z_]+";
const capability = z.string().check(reads(parseCapability)).meta({ pattern: `^${CAPABILITY}$` });

/** Changes to the capabilities of a container. */
export const capabilities = strict({
  add: z.array(capability).max(64).default([]),
  drop: z.array(
    z.string().check(reads((name) => name === "ALL" || parseCapability(name))).meta({
      pattern: `^${CAPABILITY}$`,
    }),
  ).max(64).default([]),
});

const ACCOUNT = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}";

/** The user that an app runs as. */
export const user = z.string().regex(
  new RegExp(`^${ACCOUNT}(:${ACCOUNT})?$`),
  "must be USER or USER:GROUP, names or numbers such as 1000:1000",
);

/** A runtime of the engine. */
export const runtime = z.string().regex(
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
  "must be the name of a runtime of the engine, such as runsc",
);

const nodeLabel = z.string().regex(
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
  "must be the name of a label of machines, such as disk",
);
const NODE_VALUE = "must be letters, digits and _ . : / -, with a letter or digit first";

/** The machines of a Swarm on which instances run. */
export const placement = strict({
  node: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/, "must be the name or the id of a machine").optional(),
  labels: z.record(nodeLabel, z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.:\/-]{0,127}$/, NODE_VALUE)).optional(),
  spread: nodeLabel.optional(),
});

/** A folder in a container, which outlives the container. */
export const volume = strict({
  source: z.string().max(4096).refine(
    (source) => source === "/" || (source.startsWith("/") ? PATH : VOLUME).test(source),
    `must be the name of a volume (two or more letters, digits and _ . -, with a letter or digit first) or ${PATH_RULE}`,
  ).meta({ description: "The name of a volume, or a folder of the host" }),
  path: z.string().max(4096).regex(PATH, `must be ${PATH_RULE}`),
  readOnly: z.boolean().default(false),
});

/** A path of the app, for probes. */
export const urlPath = z.string().max(2048).regex(
  /^\/[!-"$-~]*$/,
  "must be a path that begins with /, without white space, # and what is not ASCII (percent-encode that)",
);

/** The limits on the number of exceptions of a kind and on their lengths. */
const MAX_EXCEPTIONS = 100;
const MAX_EXCEPTION_LENGTH = 256;

const userAgent = z.string().min(1, "must be a part of a User-Agent, and not empty").max(MAX_EXCEPTION_LENGTH).regex(
  /^[ -~]*$/,
  "must be printable ASCII, as all of a User-Agent is",
);

/** A path of the app, with everything below it. */
const pathPrefix = z.string().max(MAX_EXCEPTION_LENGTH).regex(
  /^\/[!"$->@-~]*$/,
  "must be a path that begins with /, without a query, white space, # and what is not ASCII (percent-encode that)",
);

const userAgents = z.array(userAgent).max(MAX_EXCEPTIONS).optional();

/** Which requests wake a service. */
export const wake = strict({
  except: strict({
    userAgents: userAgents.meta({
      description: "Parts of User-Agent; known-robots stands for the robots that cless robots lists",
    }),
    agents: userAgents.meta({ description: "Another name of userAgents" }),
    paths: z.array(pathPrefix).max(MAX_EXCEPTIONS).default([]),
  }).refine(({ userAgents, agents }) => userAgents === undefined || agents === undefined, {
    message: "is another name of userAgents; give only one of the two",
    path: ["agents"],
  }).default({ paths: [] }),
});

/** A whole hostname, without a port. */
export const domain = z.string().refine(
  (name) => !name.includes(":") && parseHostname(name) !== undefined,
  "must be a whole hostname such as shop.example.org, without a port; no address, and no wildcard",
);

/** The name of a tag. */
export const tag = z.string().refine(
  // Browsers decode labels that begin with xn-- (Punycode).
  (name) => isServiceName(name) && name !== "xn",
  `${SERVICE_NAME_RULE} or xn`,
);

/** The name of a revision, or `latest`. */
export const revisionName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "must be the name of a revision, or latest");
