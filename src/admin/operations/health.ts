import { health } from "../health.ts";
import { operation } from "../operation.ts";

const TEXT = { type: "text/plain" } as const;

/** `GET /healthz` and `GET /readyz`. */
export const healthOperations = [
  operation({
    id: "showHealth",
    method: "get",
    path: "/healthz",
    tag: "about",
    summary: "Whether cless runs",
    answers: { 200: { description: "It does", ...TEXT } },
    run: ({ request, parts }) => health("/healthz", request, parts.ready),
  }),
  operation({
    id: "showReadiness",
    method: "get",
    path: "/readyz",
    tag: "about",
    summary: "Whether requests can be served",
    answers: { 200: { description: "They can", ...TEXT }, 503: { description: "They cannot, for now", ...TEXT } },
    run: ({ request, parts }) => health("/readyz", request, parts.ready),
  }),
];
