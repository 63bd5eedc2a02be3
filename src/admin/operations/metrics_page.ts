import { content } from "../answer.ts";
import { operation } from "../operation.ts";

/** The figures. */
export const metricsOperation = operation({
  id: "readMetrics",
  method: "get",
  path: "/metrics",
  scope: "read",
  tag: "about",
  summary: "The figures, as Prometheus reads them",
  answers: { 200: { description: "The figures", type: "text/plain" } },
  run: async ({ parts }) => content(await parts.metrics.text(), "text/plain; version=0.0.4; charset=utf-8"),
});
