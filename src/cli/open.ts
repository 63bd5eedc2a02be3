import type { ServiceJson } from "../admin/operations/services.ts";
import { atMost } from "../base/async.ts";
import { systemClock } from "../base/clock.ts";
import { OperatorError, UsageError } from "../base/errors.ts";
import { servicePath } from "./client.ts";
import { dashboardUrl } from "./dashboard_url.ts";
import { flag } from "./flags.ts";
import { plainText } from "./text.ts";
import { type Call, clientVerb } from "./verb.ts";

/** The programs that open an address in the browser: of freedesktop.org, of WSL, and of macOS. */
const OPENERS = { linux: ["xdg-open", "wslview"], darwin: ["open"] };
/** A program that still runs after this time has become the browser itself. */
const OPENING_MS = 3000;

/** `cless open`: opens a service or the dashboard in the browser. */
export const open = clientVerb({
  name: "open",
  summary: "Open a service or the dashboard in the browser, or print the address",
  args: ["[NAME]"],
  flags: [flag("--tag TAG", "Open the revision with this tag")],
  notes: [
    "The address is the one that cless services shows. The browser's request wakes the service.",
    "Without NAME, it is the dashboard, which asks for a token: cless token show prints one.",
  ],
  example: ["cless open", "cless open web", "cless open web --tag canary"],
  run: async (call) => {
    const [name] = call.args;
    const tag = call.text("tag");
    if (name === undefined && tag !== undefined) throw new UsageError("--tag needs the NAME of a service");
    const url = name === undefined
      ? await dashboardOf(call)
      : addressOf(await call.client.get<ServiceJson>(servicePath(name)), tag);
    if (await isOpened(url)) console.error(`${url} is opened in the browser`);
    else console.log(url);
  },
});

/** @throws {OperatorError} If no cless answers there. */
async function dashboardOf({ client }: Call): Promise<string> {
  await client.get("/");
  return dashboardUrl(client.server);
}

/** @throws {OperatorError} If there is no such tag, or if the address is not one for a browser. */
function addressOf({ name, tagUrls = {}, url }: ServiceJson, tag: string | undefined): string {
  const address = tag === undefined ? url : Object.hasOwn(tagUrls, tag) ? tagUrls[tag] : undefined;
  if (address === undefined) {
    const tags = Object.keys(tagUrls).map(plainText).join(", ");
    throw new OperatorError(`${name} has no tag "${tag}"; ${tags === "" ? "it has none" : `its tags are ${tags}`}`);
  }
  const { href, protocol } = URL.parse(address) ?? {};
  // It is given to a program, and may come from another machine.
  if (href === undefined || !/^https?:$/.test(protocol ?? "")) {
    throw new OperatorError(`the address of ${name} is not one for a browser: ${plainText(address)}`);
  }
  return href;
}

/** Opens an address in the browser. Returns false if no program can. */
async function isOpened(url: string): Promise<boolean> {
  for (const program of Deno.build.os === "darwin" ? OPENERS.darwin : OPENERS.linux) {
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, { args: [url], stdin: "null", stdout: "null", stderr: "null" }).spawn();
    } catch {
      continue; // it is not installed
    }
    let code = 0;
    await atMost(child.status.then((status) => code = status.code), systemClock, OPENING_MS);
    child.unref();
    if (code === 0) return true;
  }
  return false;
}
