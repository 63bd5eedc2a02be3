import { resolve } from "node:path";
import type { CertificateNamesJson } from "../admin/operations/certificates.ts";
import { messageOf } from "../base/errors.ts";
import type { Certificate } from "../edge/certificates.ts";
import { type CertificateStatus, certificateStatus, type EdgeStatus, edgeStatus } from "../edge/status.ts";
import { defaultStorage, upstreamIn } from "../edge/foreground.ts";
import { CLESS_UNIT, EDGE_UNIT } from "../edge/places.ts";
import { DAY_MS, dayOf } from "../model/time.ts";
import { machineOf } from "./https_on.ts";
import { ago, pairs, table } from "./text.ts";
import { type Call, printJson } from "./verb.ts";

const SWITCH_ON = "cless https on --domain DOMAIN switches it on";
const RUN = "without systemd, cless https run has it";

/** `cless https status`. Returns the exit code: 1 if HTTPS is on and something does not run, or if nobody can tell. */
export async function showStatus(call: Call, machine = machineOf(call)): Promise<number> {
  const edge = await edgeStatus(machine);
  const storage = call.read("storage", (text) => resolve(text))[0] ??
    (edge === undefined ? await usedStorage(call) : undefined);
  if (edge === undefined && storage === undefined) {
    if (call.on("json")) printJson({ on: false });
    else console.log(`HTTPS is not on; ${await machine.hasSystemd() ? SWITCH_ON : RUN}`);
    return 0;
  }
  const { places } = machine;
  const status = storage === undefined
    ? await certificateStatus(places.storage, places.caddyfile, places.unit)
    : await certificateStatus(storage, `${storage}/Caddyfile`);
  const names = await call.client.get<CertificateNamesJson>("/v1/certificate-names").catch(messageOf);
  if (call.on("json")) printJson(statusJson(edge, status, names));
  else console.log(statusText(edge, status, names));
  const isDown = edge !== undefined &&
    Object.values(edge.units).some((state) => state === "failed" || state === "inactive");
  return isDown || typeof status === "string" ? 1 : 0;
}

/** The folder of `cless https run` by default, if it has been used. */
async function usedStorage({ surroundings }: Call): Promise<string | undefined> {
  const storage = defaultStorage(surroundings);
  return await upstreamIn(storage) === undefined ? undefined : storage;
}

function statusJson(
  edge: EdgeStatus | undefined,
  status: CertificateStatus | string,
  names: CertificateNamesJson | string,
) {
  const timeOf = (ms: number) => new Date(ms).toISOString();
  const shown = ({ endsAt, ...rest }: Certificate) => ({
    ...rest,
    endsAt: timeOf(endsAt),
    daysLeft: daysUntil(endsAt),
  });
  const known = typeof status === "string" ? { problem: status } : {
    ...status.own && { own: shown(status.own) },
    certificates: status.certificates.map(shown),
    errors: status.errors.map(({ at, ...rest }) => ({ ...rest, at: timeOf(at) })),
  };
  return { on: edge !== undefined, ...edge, ...known, ...typeof names === "string" ? {} : { newNames: names } };
}

function statusText(
  edge: EdgeStatus | undefined,
  status: CertificateStatus | string,
  names: CertificateNamesJson | string,
): string {
  const blocks: string[] = [];
  if (edge !== undefined) {
    blocks.push(pairs([
      ["HTTPS", `on, ${edge.url}`],
      ["Caddy", edge.units.edge === "active" ? `active since ${edge.since}` : downText(edge.units.edge, EDGE_UNIT)],
      [
        "cless",
        edge.units.cless === "active" ? `active, listens on ${edge.listen}` : downText(edge.units.cless, CLESS_UNIT),
      ],
      ["new names", typeof names === "string" ? `unknown: ${names}` : newNamesText(names)],
    ]));
  }
  if (typeof status === "string") return [...blocks, `${status}; run it with sudo`].join("\n\n");
  const { errors, own } = status;
  const certificates = [...own === undefined ? [] : [own], ...status.certificates];
  blocks.push(
    certificates.length === 0 ? "there are no certificates yet; each name gets one at its first visit" : table(
      ["NAME", "AUTHORITY", "ENDS"],
      certificates.map(({ names, authority, endsAt }) => [names.join(", "), authority, endText(endsAt)]),
    ),
  );
  for (const { name, at, reason, remedy } of errors) {
    const when = ago(new Date(at).toISOString());
    blocks.push(`${name} has got no certificate (${when}): ${reason}${remedy === undefined ? "" : `\n  -> ${remedy}`}`);
  }
  return blocks.join("\n\n");
}

/** The state of a unit that is not active, and what to do about it. */
function downText(state: string, unit: string): string {
  if (state === "inactive") return `inactive: systemctl start ${unit}`;
  return state === "failed" ? `failed: journalctl -u ${unit} -n 20 says why` : state;
}

/** How many names each domain has had, and the last refusal. */
function newNamesText({ domains, refused: [last] }: CertificateNamesJson): string {
  const counts = domains.map(({ domain, newNames, limit }) => `${domain} ${newNames} of ${limit} in 7 days`);
  const refusal = last === undefined ? [] : [`last refused ${last.name}: ${last.reason}`];
  return [counts.join(", ") || "none in 7 days", ...refusal].join("; ");
}

function endText(endsAt: number): string {
  const day = dayOf(endsAt);
  const days = daysUntil(endsAt);
  return days < 0 ? `${day}, ended` : `${day}, in ${days} ${days === 1 ? "day" : "days"}`;
}

/** Whole days from now; negative if the time has passed. */
function daysUntil(endsAt: number): number {
  return Math.floor((endsAt - Date.now()) / DAY_MS);
}
