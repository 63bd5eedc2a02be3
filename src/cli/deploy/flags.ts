import { parseDuration } from "../../model/duration.ts";
import { parseMemoryLimit } from "../../model/memory.ts";
import type { Loading } from "../../model/waking.ts";
import { UsageError } from "../../base/errors.ts";
import type { Flag } from "../flags.ts";
import type { Call } from "../verb.ts";
import { readEnvFile } from "./env_file.ts";
import type { TemplateChange } from "./merge.ts";

const CONTAINER = "Container";
const LIMITS = "Limits";
const SERVICE = "Service";

/** The flags of `cless deploy` that say what to run, and how. */
export const TEMPLATE_FLAGS: readonly Flag[] = [
  { name: "image", value: "IMAGE", group: CONTAINER, help: "The image; a new service needs one" },
  { name: "port", value: "N", group: CONTAINER, default: "8080", help: "Where the app listens in its container" },
  { name: "env", value: "KEY=VALUE", group: CONTAINER, repeatable: true, help: "Set a variable" },
  {
    name: "env-file",
    value: "FILE",
    group: CONTAINER,
    repeatable: true,
    help: "Set the variables of a file with lines KEY=VALUE; --env wins over it",
  },
  { name: "unset-env", value: "KEY", group: CONTAINER, repeatable: true, help: "Take a variable away" },
  {
    name: "secret-env",
    value: "KEY=NAME",
    group: CONTAINER,
    repeatable: true,
    help: "Set a variable to the value of a secret",
  },
  {
    name: "command",
    value: "WORD",
    group: CONTAINER,
    repeatable: true,
    help: "Run this in place of the image's command; give it once for each word",
  },
  {
    name: "volume",
    value: "SOURCE:PATH[:ro]",
    group: CONTAINER,
    repeatable: true,
    help: "Mount a volume, or a folder that serve allows, at a path",
  },
  { name: "pull-policy", value: "WHEN", group: CONTAINER, default: "missing", help: "missing, always or never" },
  {
    name: "readiness-path",
    value: "PATH",
    group: CONTAINER,
    default: "/",
    help: "What is asked to see if it is ready",
  },
  {
    name: "liveness-path",
    value: "PATH",
    group: CONTAINER,
    help: "What is asked again and again to see if it is well; one that is not is replaced",
  },
  {
    name: "liveness-every",
    value: "TIME",
    group: CONTAINER,
    help: "How often that is asked: 10s where --liveness-path alone is given",
  },
  {
    name: "concurrency",
    value: "N",
    group: LIMITS,
    default: "0",
    help: "Requests at once per instance; 0 is any number",
  },
  { name: "min", value: "N", group: LIMITS, default: "0", help: "How many instances always run, at most --max" },
  { name: "max", value: "N", group: LIMITS, default: "1", help: "How many instances run at most" },
  {
    name: "memory",
    value: "SIZE",
    group: LIMITS,
    help: "Memory of an instance, such as 256m or 1g; at least 6m",
  },
  { name: "cpus", value: "N", group: LIMITS, help: "CPUs of an instance, such as 0.5" },
  { name: "start-timeout", value: "TIME", group: LIMITS, help: "From the start of a container to its first answer" },
  { name: "request-timeout", value: "TIME", group: LIMITS, help: "From a request's arrival to the answer's headers" },
  { name: "pause-after", value: "TIME", group: LIMITS, help: "How long an instance may be idle before it is paused" },
  { name: "stop-after", value: "TIME", group: LIMITS, help: "How long an instance may be idle before it is stopped" },
  {
    name: "domain",
    value: "NAME",
    group: SERVICE,
    repeatable: true,
    help: "A further hostname that leads to the service",
  },
  {
    name: "loading",
    value: "WHAT",
    group: SERVICE,
    default: "hold",
    help: "What a browser gets while it starts: hold (it waits for the app), or page",
  },
  {
    name: "wake-except-agent",
    value: "TEXT",
    group: SERVICE,
    repeatable: true,
    help: "Whose User-Agent has TEXT in it does not wake it, and gets 503 while it sleeps",
  },
  {
    name: "wake-except-path",
    value: "PATH",
    group: SERVICE,
    repeatable: true,
    help: "Requests for PATH, or for what is below it, do not wake it; / is the root alone",
  },
];

/** The fields of a template, and of a service, that `--unset` sets back to what they are by themselves. */
const UNSET: Readonly<Record<string, string>> = {
  "port": "port",
  "env": "env",
  "secret-env": "secretEnv",
  "command": "command",
  "volume": "volumes",
  "pull-policy": "pullPolicy",
  "readiness-path": "readiness",
  "liveness": "liveness",
  "concurrency": "concurrency",
  "min": "minInstances",
  "max": "maxInstances",
  "memory": "memory",
  "cpus": "cpus",
  "start-timeout": "startTimeout",
  "request-timeout": "requestTimeout",
  "pause-after": "pauseAfter",
  "stop-after": "stopAfter",
  "domain": "domains",
  "loading": "loading",
  "wake-except-agent": "wakeExceptAgents",
  "wake-except-path": "wakeExceptPaths",
};

/** The flag that takes away what others have set. */
export const UNSET_FLAG: Flag = {
  name: "unset",
  value: "FLAG",
  group: SERVICE,
  repeatable: true,
  help:
    "Set what another flag has set back to its default: --unset memory, --unset liveness; applies before the other flags",
};

/**
 * Reads what a deploy changes.
 *
 * @throws {UsageError} Where a value is wrong; the message names the flag, and shows no value of a variable.
 * @throws {OperatorError} Where a file of variables is wrong.
 */
export async function readChange(call: Call): Promise<TemplateChange> {
  const once = <T>(flag: string, parse: (text: string) => T): T | undefined => call.read(flag, parse)[0];
  const text = (flag: string) => once(flag, (text) => text);
  const time = (flag: string) => once(flag, (text) => (parseDuration(text), text));
  const env = readPairs(call.texts("env"), "--env", "KEY=VALUE");
  const files = [];
  for (const file of call.texts("env-file")) files.push(await readEnvFile(file));
  const command = call.texts("command");
  const path = text("readiness-path");
  return {
    unset: call.read("unset", parseUnset),
    fields: present({
      image: text("image"),
      port: call.whole("port"),
      pullPolicy: text("pull-policy"),
      command: command.length > 0 ? command : undefined,
      concurrency: call.whole("concurrency"),
      minInstances: call.whole("min"),
      maxInstances: call.whole("max"),
      memory: once("memory", (text) => (parseMemoryLimit(text), text)),
      cpus: once("cpus", parseNumber),
      startTimeout: time("start-timeout"),
      requestTimeout: time("request-timeout"),
      pauseAfter: time("pause-after"),
      stopAfter: time("stop-after"),
      readiness: path === undefined ? undefined : { path },
    }),
    env: Object.assign({}, ...files, env),
    liveness: present({ path: text("liveness-path"), every: time("liveness-every") }),
    secretEnv: readPairs(call.texts("secret-env"), "--secret-env", "KEY=NAME"),
    unsetEnv: call.texts("unset-env"),
    volumes: call.read("volume", parseVolume),
    domains: call.texts("domain"),
    loading: once("loading", parseLoading),
    wakeExceptAgents: call.texts("wake-except-agent"),
    wakeExceptPaths: call.texts("wake-except-path"),
  };
}

function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Variables with their values. The values are none of the message's business. */
function readPairs(texts: readonly string[], flag: string, form: string): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const equals = text.indexOf("=");
    if (equals <= 0) {
      throw new UsageError(`${flag} needs ${form}: ${equals < 0 ? `"${text}" has no =` : "no KEY stands before ="}`);
    }
    return [text.slice(0, equals), text.slice(equals + 1)];
  }));
}

function parseUnset(text: string): string {
  const field = Object.hasOwn(UNSET, text) ? UNSET[text] : undefined;
  if (field === undefined) throw new RangeError(`expected one of ${Object.keys(UNSET).join(", ")}`);
  return field;
}

function parseNumber(text: string): number {
  if (!/^\d{1,4}(\.\d{1,9})?$/.test(text)) throw new RangeError("expected a number such as 0.5 or 2");
  return Number(text);
}

function parseLoading(text: string): Loading {
  if (text !== "hold" && text !== "page") throw new RangeError("expected hold or page");
  return text;
}

function parseVolume(text: string): { source: string; path: string; readOnly: boolean } {
  const [, source, path, readOnly] = /^([^:]+):(\/[^:]*)(:ro)?$/.exec(text) ?? [];
  if (source === undefined) throw new RangeError("expected SOURCE:PATH or SOURCE:PATH:ro, the path with a slash first");
  return { source, path: path!, readOnly: readOnly !== undefined };
}
