// cless as it is, but that it counts and measures no request. What it then does is what there is to compare with.
import { Metrics } from "../../../src/admin/metrics.ts";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";

Metrics.prototype.requested = () => {};
RequestCounts.prototype.requested = () => {};
await import("../../../main.ts");
