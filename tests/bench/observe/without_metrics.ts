// cless as it is, but that it counts and measures no request. What it then does is what there is to compare with.
import { Metrics } from "../../../src/admin/metrics.ts";

Metrics.prototype.requested = () => {};
await import("../../../main.ts");
