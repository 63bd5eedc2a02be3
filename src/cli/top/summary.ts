import type { ActivityJson } from "../../admin/operations/activity.ts";
import { plainText, sizeText, stateText } from "../text.ts";

const AWAKE: readonly ActivityJson["state"][] = ["ready", "starting", "deploying"];

/** Says in one line what there is: `43 services, 3 awake, 5.1 GiB not used`. */
export function summaryText(services: readonly ActivityJson[]): string {
  const awake = services.filter(({ state }) => AWAKE.includes(state)).length;
  const notUsed = services.reduce((sum, service) => sum + notUsedBytes(service), 0);
  return [
    services.length === 1 ? "1 service" : `${services.length} services`,
    `${awake} awake`,
    ...(notUsed >= 2 ** 20 ? [`${sizeText(notUsed)} not used`] : []),
  ].join(", ");
}

/** How much more RAM a service would use if one instance of it were always awake. */
function notUsedBytes({ awakeBytes, memoryBytes }: ActivityJson): number {
  return Math.max(0, awakeBytes - memoryBytes);
}

/** What needs attention, a line each: `shop is failing for 3m: it ended with code 1`. `now` is in ms since 1970. */
export function attentionLines(services: readonly ActivityJson[], now: number): string[] {
  return services.filter(({ state }) => state === "failing").map((service) =>
    // The view of one service shows what to do about it.
    `${plainText(service.service)} is ${stateText(service, now).replace(/;.*/s, "")}`
  );
}
