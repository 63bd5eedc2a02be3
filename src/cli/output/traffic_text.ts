import { resolveTraffic, type Traffic } from "../../model/traffic.ts";

/** A split in short, by names: `web-00002 70%, web-00001 30%`; revisions that have a tag alone are left out. */
export function trafficText(traffic: Traffic, latest: string): string {
  return resolveTraffic(traffic, latest).filter(({ percent }) => percent > 0)
    .sort((a, b) => b.percent - a.percent)
    .map(({ revision, percent }) => `${revision} ${percent}%`).join(", ") || "-";
}

/** A split as it is said, with `latest` and tags: `latest 100%, web-00001 0% (old)`. */
export function saidTraffic(traffic: Traffic): string {
  return traffic.map(({ revision, percent, tag }) => `${revision} ${percent}%${tag === undefined ? "" : ` (${tag})`}`)
    .join(", ") || "-";
}

/** The address of a tag, by that of its service. */
export function tagUrl(url: string, tag: string): string {
  return url.replace("://", `://${tag}--`);
}
