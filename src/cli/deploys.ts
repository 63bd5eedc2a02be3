import type { DeployJson } from "../admin/operations/deploys.ts";
import { type Client, servicePath } from "./client.ts";
import { ago, durationText, indented, plainText, table } from "./text.ts";

/** The most deploys that the API lists at once. */
const MAX_DEPLOYS = 1000;

/** The deploys of a service, the newest first; none if there is neither a service nor a deploy. */
export async function deploysOf(client: Client, name: string): Promise<DeployJson[]> {
  return await client.find<DeployJson[]>(servicePath(name, "deploys")) ?? [];
}

/** The deploys of all services, the newest first. */
export function deploysOfAll(client: Client, limit: number): Promise<DeployJson[]> {
  return client.get<DeployJson[]>("/v1/deploys", { query: { limit: Math.min(MAX_DEPLOYS, limit) } });
}

/** Whether a deploy failed or was called off. */
export function hasFailed({ outcome }: DeployJson): boolean {
  return outcome === "failed" || outcome === "called off";
}

/** When a deploy ended, as ISO 8601. */
export function endOf({ durationMs, startedAt }: DeployJson): string {
  return new Date(Date.parse(startedAt) + durationMs).toISOString();
}

/** What became of a deploy that did not work, in one clause: `web-00002 failed after 31s: it ended with code 1`. */
export function failureClause(deploy: DeployJson): string {
  return endText(deploy, clauseOf(deploy));
}

/** The same with the whole reason, which may say what to do. */
export function failureText(deploy: DeployJson): string {
  return endText(deploy, deploy.reason);
}

/** Why a deploy did not work, in one clause; `-` if it worked. `cless describe` shows the whole reason. */
export function clauseOf({ reason = "-" }: DeployJson): string {
  return plainText(reason.replace(/;.*/s, ""));
}

/**
 * The last deploy that did not work; `undefined` if a revision has been made since. A later change of the service's
 * settings is no reason to leave it out.
 *
 * @param deploys The newest first.
 * @param latest The latest revision that was made.
 */
export function failedSince(
  deploys: readonly DeployJson[],
  latest: { readonly createdAt: string } | undefined,
): DeployJson | undefined {
  const failed = deploys.find(hasFailed);
  return failed !== undefined && Date.parse(failed.startedAt) > Date.parse(latest?.createdAt ?? "")
    ? failed
    : undefined;
}

/** A deploy that did not work, with the app's last lines below. */
export function failedDeployText(deploy: DeployJson): string {
  const head = `${failureText(deploy)} (${ago(endOf(deploy))}, by ${deploy.by})`;
  return [head, ...deploy.output.map((line) => indented(plainText(line)))].join("\n");
}

/** Deploys as a table. @param withService Whether they are those of all services. */
export function deployTable(deploys: readonly DeployJson[], withService = false): string {
  const rows = deploys.map((deploy) => [
    ...(withService ? [deploy.service] : []),
    ...[
      deploy.outcome === "running" ? "-" : ago(endOf(deploy)),
      deploy.by,
      deploy.revision ?? "-",
      deploy.image,
      deploy.outcome,
    ],
    ...[durationText(deploy.durationMs), clauseOf(deploy)],
  ]);
  return table(
    [...(withService ? ["SERVICE"] : []), "ENDED", "BY", "REVISION", "IMAGE", "OUTCOME", "TOOK", "REASON"],
    rows,
  );
}

function endText({ durationMs, outcome, revision }: DeployJson, reason = "-"): string {
  const end = revision === undefined ? outcome : `${revision} ${outcome === "failed" ? "failed" : "was called off"}`;
  return plainText(`${end} after ${durationText(durationMs)}: ${reason}`);
}
