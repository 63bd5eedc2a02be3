import type { ServiceJson } from "../api_types.ts";
import { table } from "./table.ts";
import { tagUrl } from "./traffic_text.ts";

/** The split of a service as it is said, with the addresses that tags give. */
export function trafficTable(
  { traffic, url, latestRevision }: Pick<ServiceJson, "traffic" | "url" | "latestRevision">,
): string {
  return table(
    ["REVISION", "PERCENT", "TAG", "URL"],
    traffic.map(({ revision, percent, tag }) => [
      revision === "latest" ? `latest (${latestRevision})` : revision,
      `${percent}%`,
      tag ?? "-",
      tag === undefined ? "-" : tagUrl(url, tag),
    ]),
  );
}
