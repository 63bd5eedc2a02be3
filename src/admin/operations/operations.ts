import { askOperation } from "./ask.ts";
import { backupOperation } from "./backup.ts";
import { eventOperations } from "./events.ts";
import { healthOperations } from "./health.ts";
import { historyOperations } from "./history.ts";
import { instanceOperations } from "./instances.ts";
import { logOperations } from "./logs.ts";
import { metricsOperation } from "./metrics_page.ts";
import { openApiOperation } from "./openapi.ts";
import type { Operation } from "../operation.ts";
import { revisionOperations } from "./revisions.ts";
import { rootOperation } from "./root.ts";
import { schemaOperation } from "./schema.ts";
import { secretOperations } from "./secrets.ts";
import { serviceOperations } from "./services.ts";
import { tokenOperations } from "./tokens.ts";
import { trafficOperations } from "./traffic.ts";

/** Everything that can be asked of the API, in the order of the document. */
export const OPERATIONS: readonly Operation[] = [
  ...serviceOperations,
  ...revisionOperations,
  ...trafficOperations,
  ...instanceOperations,
  ...eventOperations,
  ...logOperations,
  ...historyOperations,
  ...secretOperations,
  ...tokenOperations,
  backupOperation,
  askOperation,
  ...healthOperations,
  metricsOperation,
  openApiOperation(() => OPERATIONS),
  schemaOperation,
  rootOperation,
];
