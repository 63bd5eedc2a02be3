import { DAY_MS, dayOf } from "../model/time.ts";
import type { Machine } from "./machine.ts";
import { EDGE_UNIT } from "./places.ts";
import { certificateStatus, type EdgeStatus } from "./status.ts";

/** A certificate of the operator's own that ends within this time is a warning. */
const SOON_MS = 14 * DAY_MS;
/** Of more names than this, the errors are left to `cless https status`. */
const MAX_ERRORS = 3;

/** The result of a check of the edge. */
export interface EdgeFinding {
  readonly check: "https";
  readonly state: "ok" | "warning" | "failed";
  readonly fact: string;
  readonly remedy?: string;
}

/** Finds what is wrong with an edge that is on. @param nowMs In ms since 1970. */
export async function checkEdge(edge: EdgeStatus, { places }: Machine, nowMs: number): Promise<EdgeFinding[]> {
  const check = "https";
  if (edge.units.edge !== "active") {
    const fact = `HTTPS is on for ${edge.url}, but ${EDGE_UNIT} is ${edge.units.edge}`;
    return [{ check, state: "failed", fact, remedy: `journalctl -u ${EDGE_UNIT} -n 20 says why` }];
  }
  const status = await certificateStatus(places.storage, places.caddyfile, places.unit);
  if (typeof status === "string") return [{ check, state: "warning", fact: status, remedy: "run it with sudo" }];
  const { certificates, errors, own } = status;
  const faults: EdgeFinding[] = errors.slice(0, MAX_ERRORS).map(({ name, reason, remedy }) => ({
    check,
    state: "warning",
    fact: `${name} has got no certificate: ${reason}`,
    remedy: remedy ?? "cless https status shows all",
  }));
  if (own !== undefined && own.endsAt - nowMs < SOON_MS) {
    const fact = `your certificate for ${own.names.join(", ")} ends on ${dayOf(own.endsAt)}`;
    const remedy = `replace its file, then: systemctl restart ${EDGE_UNIT}`;
    faults.push({ check, state: own.endsAt <= nowMs ? "failed" : "warning", fact, remedy });
  }
  if (faults.length > 0) return faults;
  const count = certificates.length + (own === undefined ? 0 : 1);
  return [{
    check,
    state: "ok",
    fact: `HTTPS is on for ${edge.url}, with ${count} certificate${count === 1 ? "" : "s"}`,
  }];
}
