// cless as it is, but that each SIGUSR2 makes it stop to count and measure requests, or begin again.
import { Metrics } from "../../../src/admin/metrics.ts";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";

let isCounting = true;
Deno.addSignalListener("SIGUSR2", () => isCounting = !isCounting);
const [measured, counted] = [Metrics.prototype.requested, RequestCounts.prototype.requested];
Metrics.prototype.requested = function (...request) {
  if (isCounting) measured.apply(this, request);
};
RequestCounts.prototype.requested = function (...request) {
  if (isCounting) counted.apply(this, request);
};
await import("../../../main.ts");
